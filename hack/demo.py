"""One order's journey through the running shop, with times; then where to look further.

Everything goes through the Ingress on 127.0.0.1, as a customer's request would.
"""

import json
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

REPOSITORY = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 60
CUSTOMER = "ada@example.com"


class JourneyError(Exception):
    """A stage that did not happen: the text says which, and where to look."""


class Shop:
    """The shop as a client outside the cluster sees it: one address, a host name per site."""

    who_is_missing = "`kubectl -n shop get pods` shows who is not running"

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}"
        self._session = requests.Session()

    def call(self, host: str, method: str, path: str, body: object = None) -> requests.Response:
        """One request; the host name selects the site, so that no name needs to resolve."""
        return self._session.request(
            method, self._address + path, json=body, headers={"Host": host}, timeout=10
        )

    def order(self, method: str, path: str, body: object = None) -> Any:
        """The `data` of an answer of the shop; an error answer ends the journey with its text."""
        answer = self.call("shop.localhost", method, path, body)
        if answer.status_code >= 400:
            msg = f"{method} {path} answered {answer.status_code}: {answer.text[:300]}"
            raise JourneyError(msg)
        return answer.json().get("data")

    def mails_about(self, order_id: str) -> list[dict[str, Any]]:
        """What the mail catcher holds for an order."""
        answer = self.call("mail.localhost", "GET", "/api/email")
        if answer.status_code == 404:  # maildev 2 and 3 differ in the path, not in the answer
            answer = self.call("mail.localhost", "GET", "/email")
        caught = answer.json()
        return [mail for mail in caught if order_id in str(mail.get("text", ""))]


class Journey:
    """Prints each stage of an order with the time since it was posted."""

    def __init__(self, who_is_missing: str) -> None:
        self._posted = time.monotonic()
        self._who_is_missing = who_is_missing

    def stage(self, name: str, detail: str) -> None:
        """One line: elapsed, stage, what there is to see of it."""
        elapsed_ms = (time.monotonic() - self._posted) * 1000
        print(f"  {elapsed_ms:8.0f} ms  {name:<16} {detail}", flush=True)

    def reach(self, name: str, look: Callable[[], Any]) -> Any:
        """Looks until there is something to see; after a minute says which stage is missing."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if seen := look():
                return seen
            time.sleep(0.02)
        msg = f"{name} did not happen within {PATIENCE_SECONDS} s; {self._who_is_missing}"
        raise JourneyError(msg)


def follow_order(shop: Shop, product: str, quantity: int, final: str) -> None:
    """Places one order and prints its stages until stock has decided and the mail is caught."""
    print(f"\nAn order of {quantity} x {product}:")
    journey = Journey(shop.who_is_missing)
    placed = shop.order(
        "POST",
        "/api/v1/order",
        {"product": product, "quantity": quantity, "customerEmail": CUSTOMER},
    )
    order_id = placed["orderID"]
    journey.stage("POSTed", f"202, order {order_id}")
    journey.stage("PENDING", "stored with its outbox row, in one statement")

    def decided() -> Any:
        order = shop.order("GET", f"/api/v1/order/{order_id}")
        return order if order["status"] != "PENDING" else None

    order = journey.reach("The decision of stock", decided)
    verdict = "stock reserved" if order["status"] == "CONFIRMED" else "stock refused"
    journey.stage(verdict, "decided by the stock service, through Kafka and back")
    journey.stage(order["status"], order.get("reason") or "")
    if order["status"] != final:
        msg = f"order {order_id} ended {order['status']}, expected {final}"
        raise JourneyError(msg)
    mail = journey.reach("The mail", lambda: shop.mails_about(order_id))[0]
    journey.stage("mail caught", f"\u201c{mail['subject']}\u201d to {CUSTOMER}")


def print_addresses(port: int) -> None:
    """Where to look next; the last line is the next step."""
    print(
        f"""
Look around (any browser resolves *.localhost):
  order API     http://shop.localhost:{port}/api/v1/order
  its page      http://shop.localhost:{port}/api/v1/order/docs
  mails         http://mail.localhost:{port}/
  traces        http://zipkin.localhost:{port}/zipkin/
  dashboard     http://metrics.localhost:{port}/consoles/eventpipeline-traffic.html

  export KUBECONFIG={Path("build/kubeconfig")}    # kubectl itself: build/bin/kubectl
  kubectl get eventpipelines -A
  kubectl -n shop describe eventpipeline shop
  kubectl -n shop get deployments,pods,ingress
  kubectl -n eventpipeline-system logs deploy/eventpipeline-operator

Next: change examples/shop.yaml, `kubectl apply -f examples/shop.yaml`, watch it happen.
`make clean` removes the cluster."""
    )


def follow_both(shop: Shop) -> bool:
    """An order that stock can serve and one that it cannot; whether each ended as it should."""
    product = f"book-{secrets.token_hex(3)}"
    try:
        shop.order("POST", "/api/v1/stock/add", {"product": product, "quantity": 10})
        print(f"10 x {product} put into stock.")
        follow_order(shop, product, 3, "CONFIRMED")
        follow_order(shop, product, 100, "REJECTED")
    except (JourneyError, requests.RequestException) as error:
        print(f"\ndemo failed: {error}", file=sys.stderr)
        return False
    return True


def main() -> int:
    """Runs both journeys; 0 when each ended as it should."""
    port = json.loads((REPOSITORY / "build" / "cluster.json").read_text())["httpPort"]
    if not follow_both(Shop(port)):
        return 1
    print_addresses(port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
