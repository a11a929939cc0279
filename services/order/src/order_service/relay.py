"""Outbox → Kafka: what an order event means for stock.

OrderPlaced and OrderCancelled are told twice: to everyone on `orders`, keyed by order, and as a
command to stock, keyed by product, so that one consumer decides about a product in order. Making
the command here keeps placing an order at one outbox row.
"""

from collections.abc import Sequence
from dataclasses import replace

import orjson

from eventbus.outbox import Announcement, OutboxRow, derive
from order_service.domain import COMMANDS, Order, reservation_of
from order_service.messages import show

COMMAND_OF = {"OrderPlaced": "ReserveStock", "OrderCancelled": "ReleaseStock"}


def expand(row: OutboxRow) -> Sequence[OutboxRow]:
    """An order event, and the command that follows from it."""
    command = COMMAND_OF.get(row.type)
    if command is None or row.data is None:
        return (row,)
    order = orjson.loads(row.data)
    derived = derive(row, topic=COMMANDS, key=order["product"], type=command)
    return (row, replace(derived, data=orjson.dumps(reservation_of(order)).decode()))


def reserve_command(order: Order) -> Announcement:
    """ReserveStock once more, with the id that it had at first."""
    return Announcement(
        topic=COMMANDS,
        key=order.product,
        type="ReserveStock",
        event_id=f"{order.id}:1:ReserveStock",
        subject=order.id,
        data=orjson.dumps(reservation_of(show(order))).decode(),
    )
