"""An order and what can happen to it; pure.

PENDING → CONFIRMED or REJECTED, by stock's decision; PENDING or CONFIRMED → CANCELLED, by the
customer or because nobody decided in time. Each change raises the order's version by one and is
announced as one event, whose id is the order and that version.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

TOPIC = "orders"
COMMANDS = "stock-commands"
MAX_QUANTITY = 1_000_000


class Status(StrEnum):
    """Where an order stands."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


EVENT_OF = {
    Status.PENDING: "OrderPlaced",
    Status.CONFIRMED: "OrderConfirmed",
    Status.REJECTED: "OrderRejected",
    Status.CANCELLED: "OrderCancelled",
}


@dataclass(frozen=True, slots=True)
class Order:
    """One order as it stands."""

    id: str
    product: str
    quantity: int
    customer_email: str
    created_at: datetime
    status: Status = Status.PENDING
    reason: str | None = None
    version: int = 1

    @property
    def event_type(self) -> str:
        """The event that announces the present status."""
        return EVENT_OF[self.status]

    @property
    def event_id(self) -> str:
        """Unique per change, and the same however often it is told."""
        return f"{self.id}:{self.version}"


class NotCancellable(Exception):  # names the state, as the client sees it
    """The order has ended in another way."""


def cancel(order: Order, reason: str) -> Order:
    """The cancelled order; raises `NotCancellable` if it was refused or is cancelled."""
    if order.status in (Status.REJECTED, Status.CANCELLED):
        raise NotCancellable(f"the order is {order.status}")
    return replace(order, status=Status.CANCELLED, reason=reason, version=order.version + 1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What stock decided about one order."""

    order_id: str
    status: Status
    reason: str | None
    traceparent: str | None


def first_verdicts(verdicts: list[Verdict]) -> list[Verdict]:
    """One per order: a decision is told again when it was asked for again, and never changes."""
    first: dict[str, Verdict] = {}
    for verdict in verdicts:
        first.setdefault(verdict.order_id, verdict)
    return list(first.values())


def reservation_of(order: dict[str, Any]) -> dict[str, Any]:
    """What stock needs to know of an order event: no address leaves with it."""
    return {key: order[key] for key in ("orderID", "product", "quantity")}
