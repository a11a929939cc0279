"""Use cases of the order service: place, cancel, apply what stock decided, sweep."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from eventbus.clock import Clock
from eventbus.identity import new_id
from order_service.domain import Order, Verdict, cancel, first_verdicts
from order_service.messages import PlaceOrder

TIMED_OUT = "stock did not decide in time"
WITHDRAWN = "withdrawn by the customer"


class KeyReused(Exception):  # names what the client did
    """The idempotency key belongs to another request."""


class OrderNotFound(Exception):
    """No such order."""


class Orders(Protocol):
    """Where orders are kept; each method is one atomic change together with its announcement."""

    def place(self, order: Order, key: str | None, traceparent: str | None) -> bool:
        """Store a new order; False if the key was used before."""
        ...

    def by_key(self, key: str) -> Order | None:
        """The order that was placed under a key."""
        ...

    def replace(self, order: Order, traceparent: str | None) -> bool:
        """Store the next version; False if someone else was faster."""
        ...

    def get(self, order_id: str) -> Order | None:
        """One order."""
        ...


class PendingOrders(Protocol):
    """What the sweeper and the consumer need."""

    def settle(self, verdicts: Sequence[Verdict]) -> int:
        """Give each order that still waits its verdict; answers how many did."""
        ...


def place_order(
    command: PlaceOrder, key: str | None, orders: Orders, clock: Clock, traceparent: str | None
) -> Order:
    """Store the order and its announcement; the same key answers with the same order."""
    order = Order(
        id=new_id(),
        product=command.product,
        quantity=command.quantity,
        customer_email=command.customerEmail,
        created_at=clock.now(),
    )
    if orders.place(order, key, traceparent):
        return order
    stored = orders.by_key(key) if key else None
    if stored is None or not _is_same(stored, order):
        raise KeyReused
    return stored


def _is_same(stored: Order, asked: Order) -> bool:
    return (stored.product, stored.quantity, stored.customer_email) == (
        asked.product,
        asked.quantity,
        asked.customer_email,
    )


def cancel_order(order_id: str, orders: Orders, traceparent: str | None) -> Order:
    """Cancel, and tell stock to give back; a decision that comes in between is looked at again."""
    while True:
        order = orders.get(order_id)
        if order is None:
            raise OrderNotFound
        cancelled = cancel(order, WITHDRAWN)
        if orders.replace(cancelled, traceparent):
            return cancelled


def apply_verdicts(verdicts: list[Verdict], orders: PendingOrders) -> int:
    """Stock's decisions, one per order, on orders that still wait."""
    return orders.settle(first_verdicts(verdicts))


class WaitingOrders(Protocol):
    """What the sweeper needs."""

    def remind(self, older_than: timedelta, limit: int) -> int:
        """Ask stock again about orders that wait."""
        ...

    def expire(self, older_than: timedelta, reason: str, limit: int) -> int:
        """Cancel orders that wait too long."""
        ...


def sweep(
    orders: WaitingOrders, remind_after: timedelta, cancel_after: timedelta, limit: int = 500
) -> tuple[int, int]:
    """One round: answers how many were cancelled and how many asked about again."""
    expired = orders.expire(cancel_after, TIMED_OUT, limit)
    return expired, orders.remind(remind_after, limit)
