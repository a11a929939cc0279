"""Kafka → stock: a batch of commands is decided in one transaction."""

from collections.abc import Callable, Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus.effects import Handler, Message
from stock_service.adapters.postgres import PostgresShelf
from stock_service.caching import Cache, Level
from stock_service.domain import Command
from stock_service.handlers import decide_batch
from stock_service.messages import StockCommand

RELEASE = "ReleaseStock"
MODELS = {"ReserveStock": StockCommand, RELEASE: StockCommand}


def build_handler(cache: Cache) -> Handler:
    """Decides a batch inside its transaction; copies of what it changed follow the commit."""

    def handle_and_copy(cursor: Cursor, messages: Sequence[Message[Any]]) -> Callable[[], None]:
        levels = handle(cursor, messages)
        return lambda: cache.offer(levels)

    return handle_and_copy


def handle(cursor: Cursor, messages: Sequence[Message[Any]]) -> Sequence[Level]:
    """One batch, inside its transaction; answers the levels that it changed."""
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
    _, levels = decide_batch(commands, PostgresShelf(cursor))
    return levels
