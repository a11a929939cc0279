"""Constant traffic at the Ingress, as customers make it: every answer is kept.

Several customers with a kept-alive connection each place an order and look at it, at a steady rate
that no slow answer holds up for the others. Nobody tries again: a request that fails is a failure.
"""

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import requests

PLENTY = 1_000_000
CUSTOMERS = 8
PATIENCE_SECONDS = 60


@dataclass
class Traffic:
    """Orders of one product; enter it to begin, leave it to end."""

    host: str
    address: str
    product: str
    rate: float
    orders: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._began = time.monotonic()
        self._customers = [
            threading.Thread(target=self._shop_on, name=f"customer-{number}")
            for number in range(CUSTOMERS)
        ]

    @property
    def customer(self) -> str:
        """To whom all mails go."""
        return f"{self.product}@example.com"

    def __enter__(self) -> Self:
        with requests.Session() as session:
            self._ask(session, "POST", "/stock/add", {"product": self.product, "quantity": PLENTY})
        assert not self.failures, self.failures
        self._began = time.monotonic()
        for customer in self._customers:
            customer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for customer in self._customers:
            customer.join()

    def _shop_on(self) -> None:
        pause = CUSTOMERS / self.rate
        due = time.monotonic()
        body = {"product": self.product, "quantity": 1, "customerEmail": self.customer}
        with requests.Session() as session:
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                due += pause
                placed = self._ask(session, "POST", "/order", body)
                if placed:
                    order = placed["data"]["orderID"]
                    self.orders.append(order)
                    self._ask(session, "GET", f"/order/{order}")

    def _ask(self, session: requests.Session, method: str, path: str, body: Any = None) -> Any:
        """The answer's body; None, and a failure noted, unless it went well."""
        moment = time.monotonic() - self._began
        try:
            answer = session.request(
                method,
                f"{self.address}/api/v1{path}",
                json=body,
                headers={"Host": self.host},
                timeout=PATIENCE_SECONDS,
            )
        except requests.RequestException as error:
            self.failures.append(f"{moment:.1f} s: {method} {path}: {error!r}")
            return None
        if answer.status_code >= 400:
            said = f"{answer.status_code} {answer.text[:200]}"
            self.failures.append(f"{moment:.1f} s: {method} {path}: {said}")
            return None
        return answer.json()
