"""The service's contracts as pydantic models: requests, answers, events in and out."""

from enum import StrEnum
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field

from eventbus.envelope import timestamp
from eventbus.fields import EmailAddress, Line, Moment, WholeNumber
from eventbus.outbox import Announcement
from eventbus.web.operations import Envelope
from order_service.domain import MAX_QUANTITY, TOPIC, Order, Status

MAX_WINDOW_SECONDS = 7 * 86_400


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


class StatsQuery(BaseModel):
    """Which windows GET /order/stats sums up; lengths in seconds."""

    from_: Moment | None = Field(
        None,
        alias="from",
        description="where the first window begins, or just before; an hour before `to` without it",
        examples=["2026-01-01T00:00:00Z"],
    )
    to: Moment | None = Field(None, description="before which windows begin; now without it")
    window: int = Field(
        60, ge=60, le=MAX_WINDOW_SECONDS, multiple_of=60, description="seconds of each window"
    )
    slide: int | None = Field(
        None,
        ge=60,
        le=MAX_WINDOW_SECONDS,
        multiple_of=60,
        description="seconds between beginnings, at most `window`; `window` without it",
    )
    product: Line | None = None


class WindowModel(BaseModel):
    """How many orders of a product came into a state in a window, and how many pieces they ask."""

    start: str
    end: str
    product: str
    status: Status
    orders: int
    quantity: int
    late: int


class StatsModel(BaseModel):
    """Windows by time, those without orders left out."""

    countedUpTo: str | None  # noqa: N815
    windows: list[WindowModel]


class StatsAnswer(Envelope):
    """Order statistics."""

    data: StatsModel


class CountedOrder(BaseModel):
    """Data of the order events, as far as the statistics care."""

    orderID: UUID  # noqa: N815
    product: Line
    quantity: WholeNumber = Field(ge=1, le=MAX_QUANTITY)
    version: int = Field(ge=1, le=2**31 - 1)


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
