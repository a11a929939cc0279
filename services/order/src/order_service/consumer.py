"""Kafka → orders: stock's decisions settle the orders that wait."""

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus.effects import Message
from order_service.adapters.postgres import PostgresPendingOrders
from order_service.domain import Status, Verdict
from order_service.handlers import apply_verdicts
from order_service.messages import StockDecision, StockEventType

TOPICS = ("stock-events",)
MODELS = {
    StockEventType.RESERVED.value: StockDecision,
    StockEventType.REJECTED.value: StockDecision,
}
_STATUS = {
    StockEventType.RESERVED.value: Status.CONFIRMED,
    StockEventType.REJECTED.value: Status.REJECTED,
}


def handle(cursor: Cursor, messages: Sequence[Message[Any]]) -> None:
    """One batch, inside its transaction."""
    verdicts = [
        Verdict(
            order_id=str(message.data.orderID),
            status=_STATUS[message.event.type],
            reason=message.data.reason,
            traceparent=message.traceparent,
        )
        for message in messages
    ]
    apply_verdicts(verdicts, PostgresPendingOrders(cursor))
