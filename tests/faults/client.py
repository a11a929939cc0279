"""Clients: they order, cancel and add stock at a bounded rate, and remember what they were told.

What to ask for is drawn from a seed; what happens to it is not. An attempt whose outcome is
unknown is repeated under the same key, sometimes given up for ever; one that succeeded is sometimes
repeated too, as an impatient browser would.
"""

import http.client
import json
import queue
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from faults.history import Attempt, Journal, Operation, Outcome

_TIMEOUT_SECONDS = 4.0
_ATTEMPTS = 6
_CLIENTS = 8
HOT = "hot"
UNKNOWN_PRODUCT = "never-added"


@dataclass(frozen=True)
class Wish:
    """One thing a client wants."""

    operation: Operation
    key: str
    product: str
    quantity: int
    email: str
    seed: int


class Shop:
    """What the clients know of the outside: the ports of the APIs."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports

    def ask(
        self, service: str, path: str, body: dict[str, Any], key: str | None = None
    ) -> tuple[Outcome, int | None, dict[str, Any]]:
        """One POST on a connection of its own."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self._ports[service], timeout=_TIMEOUT_SECONDS
        )
        try:
            connection.connect()
        except OSError:
            return Outcome.FAIL, None, {}
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            connection.request("POST", f"/api/v1/{service}{path}", json.dumps(body), headers)
            response = connection.getresponse()
            answer = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError):
            return Outcome.UNKNOWN, None, {}
        finally:
            connection.close()
        if response.status < 300:
            return Outcome.OK, response.status, answer
        # A 5xx may come after the commit; a 4xx says that nothing was done.
        outcome = Outcome.UNKNOWN if response.status >= 500 else Outcome.FAIL
        return outcome, response.status, answer


class Load:
    """Draws wishes at a rate and lets clients carry them out."""

    def __init__(self, shop: Shop, journal: Journal, seed: int, rate: float) -> None:
        self._shop = shop
        self._journal = journal
        self._random = random.Random(seed)  # noqa: S311  # reproducible, not secret
        self._interval = 1.0 / rate
        self._wishes: queue.Queue[Wish] = queue.Queue(maxsize=64)
        self._stop = threading.Event()
        self._number = 0
        self._run = f"{seed:x}"
        self._threads = [threading.Thread(target=self._draw, name="load", daemon=True)] + [
            threading.Thread(target=self._serve, name=f"client-{n}", daemon=True)
            for n in range(_CLIENTS)
        ]

    def stock_up(self, products: int, quantity: int) -> dict[str, int]:
        """Before any fault: what there is. Answers product → quantity."""
        stock = {f"p{number:02}": quantity for number in range(products)}
        stock |= {HOT: quantity * 10, "scarce": 25}
        for product, pieces in stock.items():
            outcome, status, answer = self._shop.ask(
                "stock", "/add", {"product": product, "quantity": pieces}
            )
            if outcome is not Outcome.OK:
                raise RuntimeError(f"cannot stock up: {status} {answer}")
        return stock

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Draw nothing more; what is begun is carried to its end."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _draw(self) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._interval, time.monotonic() - 1.0)
            try:
                self._wishes.put(self._wish(), timeout=1.0)
            except queue.Full:
                continue

    def _wish(self) -> Wish:
        self._number += 1
        draw = self._random
        key = f"{self._run}-{self._number}"
        seed = draw.getrandbits(32)
        if draw.random() < 0.03:
            product = f"p{draw.randrange(5):02}"
            return Wish(Operation.ADD, key, product, draw.randint(1, 50), "", seed)
        chance = draw.random()
        product = f"p{draw.randrange(20):02}"
        if chance < 0.3:
            product = HOT
        elif chance < 0.34:
            product = "scarce"
        elif chance < 0.38:
            product = UNKNOWN_PRODUCT
        email = f"customer-{key}@example.com"
        return Wish(Operation.PLACE, key, product, draw.randint(1, 5), email, seed)

    def _serve(self) -> None:
        while True:
            try:
                wish = self._wishes.get(timeout=0.2)
            except queue.Empty:
                if self._stop.is_set():
                    return
                continue
            if wish.operation is Operation.ADD:
                self._attempt(wish)
            else:
                self._place(wish)

    def _place(self, wish: Wish) -> None:
        draw = random.Random(wish.seed)  # noqa: S311
        again = draw.random() < 0.05
        patient = draw.random() < 0.9
        cancels = draw.random() < 0.06
        order_id = None
        for number in range(_ATTEMPTS):
            attempt = self._attempt(wish)
            order_id = order_id or attempt.order_id
            if attempt.outcome is Outcome.OK and not again:
                break
            if attempt.outcome is Outcome.OK:
                again = False
            elif not patient:
                return
            self._stop.wait(draw.uniform(0.05, 0.3) * 2**number)
        if cancels and order_id is not None:
            self._stop.wait(draw.uniform(0.0, 0.3))
            self._cancel(wish, order_id)

    def _cancel(self, wish: Wish, order_id: str) -> None:
        started = time.time()
        outcome, status, _ = self._shop.ask("order", f"/{order_id}/cancel", {})
        self._note(wish, Operation.CANCEL, started, outcome, status, order_id)

    def _attempt(self, wish: Wish) -> Attempt:
        started = time.time()
        if wish.operation is Operation.ADD:
            body: dict[str, Any] = {"product": wish.product, "quantity": wish.quantity}
            outcome, status, answer = self._shop.ask("stock", "/add", body)
        else:
            body = {
                "product": wish.product,
                "quantity": wish.quantity,
                "customerEmail": wish.email,
            }
            outcome, status, answer = self._shop.ask("order", "", body, wish.key)
        order_id = answer.get("data", {}).get("orderID") if outcome is Outcome.OK else None
        return self._note(wish, wish.operation, started, outcome, status, order_id)

    def _note(
        self,
        wish: Wish,
        operation: Operation,
        started: float,
        outcome: Outcome,
        status: int | None,
        order_id: str | None,
    ) -> Attempt:
        attempt = Attempt(
            operation,
            wish.key,
            wish.product,
            wish.quantity,
            wish.email,
            started,
            time.time(),
            outcome,
            status,
            order_id,
        )
        self._journal.write(attempt)
        return attempt
