"""The service's contracts as pydantic models: requests, answers, commands in, events out."""

from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field

from eventbus.fields import Line, WholeNumber
from eventbus.outbox import Announcement
from eventbus.web.operations import Envelope
from stock_service.domain import EVENTS, Reply

MAX_QUANTITY = 1_000_000


class StockChange(BaseModel):
    """Body of POST /stock/add and /stock/reduce."""

    model_config = ConfigDict(strict=True)

    product: Line = Field(examples=["book"])
    quantity: WholeNumber = Field(ge=1, le=MAX_QUANTITY, examples=[10])


class StockModel(BaseModel):
    """What is left of one product."""

    stockID: str  # noqa: N815
    product: str
    quantity: int


class StockAnswer(Envelope):
    """One product."""

    data: StockModel


class StocksAnswer(Envelope):
    """A page of products, by name; the `Link` header leads to the next."""

    data: list[StockModel]


class StockQuery(BaseModel):
    """Cursor of GET /stock."""

    limit: int = Field(100, ge=1, le=1_000)
    after: Line | None = None


class StockCommand(BaseModel):
    """Data of ReserveStock and ReleaseStock."""

    orderID: UUID  # noqa: N815
    product: Line
    quantity: WholeNumber = Field(ge=1, le=MAX_QUANTITY)


class StockDecision(BaseModel):
    """Data of StockReserved, StockRejected and StockReleased."""

    orderID: str  # noqa: N815
    product: str
    quantity: int
    reason: str | None = None


def announce(reply: Reply) -> Announcement:
    """The event that tells a decision, to consumers keyed by order."""
    reservation = reply.reservation
    data = {
        "orderID": reservation.order_id,
        "product": reservation.product,
        "quantity": reservation.quantity,
        "reason": reservation.reason,
    }
    return Announcement(
        topic=EVENTS,
        key=reservation.order_id,
        type=reply.type,
        event_id=f"{reservation.order_id}:{reply.type}",
        subject=reservation.order_id,
        data=orjson.dumps(data).decode(),
        traceparent=reply.traceparent,
    )
