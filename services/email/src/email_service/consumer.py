"""Kafka → ledger: an order that ended is one intent to write."""

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from email_service.adapters.postgres import PostgresIntents
from email_service.domain import TEMPLATE_OF, Letter, dedupe_key
from email_service.messages import OrderEnded
from eventbus.effects import Message
from eventbus.identity import new_id

MODELS = {event: OrderEnded for event in TEMPLATE_OF}  # noqa: C420  # reads as what it is


def handle(cursor: Cursor, messages: Sequence[Message[Any]], sender: str) -> None:
    """One batch, inside its transaction."""
    PostgresIntents(cursor, sender).note([_letter(message) for message in messages])


def _letter(message: Message[Any]) -> Letter:
    order: OrderEnded = message.data
    template = TEMPLATE_OF[message.event.type]
    order_id = str(order.orderID)
    return Letter(
        id=new_id(),
        order_id=order_id,
        template=template,
        dedupe_key=dedupe_key(order_id, template),
        recipient=order.customerEmail,
        product=order.product,
        quantity=order.quantity,
        reason=order.reason,
        traceparent=message.traceparent,
    )
