"""Kafka → stock: a batch of commands is decided in one transaction."""

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus.batch import Message
from stock_service.adapters.postgres import PostgresShelf
from stock_service.domain import Command
from stock_service.handlers import decide_batch
from stock_service.messages import StockCommand

RELEASE = "ReleaseStock"
MODELS = {"ReserveStock": StockCommand, RELEASE: StockCommand}


def handle(cursor: Cursor, messages: Sequence[Message[Any]]) -> None:
    """One batch, inside its transaction."""
    commands = [
        Command(
            release=message.event.type == RELEASE,
            order_id=str(message.data.orderID),
            product=message.data.product,
            quantity=message.data.quantity,
            traceparent=message.traceparent,
        )
        for message in messages
    ]
    decide_batch(commands, PostgresShelf(cursor))
