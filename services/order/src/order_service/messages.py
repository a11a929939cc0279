"""The service's contracts as pydantic models: requests, answers, events in and out."""

from enum import StrEnum
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field

from eventbus.envelope import timestamp
from eventbus.fields import EmailAddress, Line, WholeNumber
from eventbus.outbox import Announcement
from eventbus.web.operations import Envelope
from order_service.domain import MAX_QUANTITY, TOPIC, Order, Status


class PlaceOrder(BaseModel):
    """Body of POST /order."""

    model_config = ConfigDict(strict=True)

    product: Line = Field(examples=["book"])
    quantity: WholeNumber = Field(ge=1, le=MAX_QUANTITY, examples=[3])
    customerEmail: EmailAddress = Field(examples=["ada@example.com"])  # noqa: N815


class OrderModel(BaseModel):
    """An order as it is shown, and as it travels in events."""

    orderID: str  # noqa: N815
    product: str
    quantity: int
    customerEmail: str  # noqa: N815
    date: str
    status: Status
    reason: str | None = None
    version: int


class OrderAnswer(Envelope):
    """One order."""

    data: OrderModel


class OrdersAnswer(Envelope):
    """A page of orders, the newest first; the `Link` header leads to the next."""

    data: list[OrderModel]


class LoggedEvent(BaseModel):
    """One published event."""

    position: int
    id: str
    type: str
    time: str
    data: OrderModel


class EventsAnswer(Envelope):
    """Published events, the oldest first."""

    data: list[LoggedEvent]


class OrderQuery(BaseModel):
    """Filters and cursor of GET /order."""

    limit: int = Field(100, ge=1, le=1_000)
    after: UUID | None = None
    status: Status | None = None
    product: Line | None = None
    customerEmail: EmailAddress | None = None  # noqa: N815


class FeedQuery(BaseModel):
    """Cursor of GET /order/events."""

    after: int = Field(0, ge=0, le=2**63 - 1)
    limit: int = Field(100, ge=1, le=1_000)
    wait: float = Field(0.0, ge=0, le=20)


class StockDemand(BaseModel):
    """Data of ReserveStock and ReleaseStock, which stock is told."""

    orderID: str  # noqa: N815
    product: str
    quantity: int


class StockEventType(StrEnum):
    """What stock tells."""

    RESERVED = "StockReserved"
    REJECTED = "StockRejected"


class StockDecision(BaseModel):
    """Data of StockReserved and StockRejected, as far as an order cares."""

    orderID: UUID  # noqa: N815
    reason: Line | None = None


def show(order: Order) -> dict[str, object]:
    """The members of `OrderModel`, without the cost of a model on the hot path."""
    return {
        "orderID": order.id,
        "product": order.product,
        "quantity": order.quantity,
        "customerEmail": order.customer_email,
        "date": timestamp(order.created_at),
        "status": order.status,
        "reason": order.reason,
        "version": order.version,
    }


def announce(order: Order, traceparent: str | None) -> Announcement:
    """The event that tells of the order's present state."""
    return Announcement(
        topic=TOPIC,
        key=order.id,
        type=order.event_type,
        event_id=order.event_id,
        subject=order.id,
        data=orjson.dumps(show(order)).decode(),
        traceparent=traceparent,
    )
