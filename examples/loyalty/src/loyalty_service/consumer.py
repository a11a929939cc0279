"""Kafka → points: what a confirmed order is worth."""

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus import outbox
from eventbus.effects import Message
from eventbus.outbox import Announcement
from eventbus.statements import Statement
from loyalty_service.messages import OrderConfirmed, PointsGranted

MODELS = {"OrderConfirmed": OrderConfirmed}  # other types of the topic are passed over
POINTS_PER_PIECE = 10

_GRANT = Statement(  # parsed and planned once per connection; a list becomes an array
    "grant_points",
    ["uuid[]", "text[]", "int[]"],
    "INSERT INTO points (order_id, customer, points) SELECT * FROM unnest($1, $2, $3)"
    " ON CONFLICT (order_id) DO NOTHING RETURNING order_id, customer, points",
)


def handle(cursor: Cursor, messages: Sequence[Message[Any]]) -> None:
    """One batch, in the transaction that also moves our position in the topic.

    An order is its own key: an event that its sender published twice grants once.
    """
    traces = {str(message.data.orderID): message.traceparent for message in messages}
    orders = {str(message.data.orderID): message.data for message in messages}
    _GRANT.run(
        cursor,
        list(orders),
        [order.customerEmail for order in orders.values()],
        [order.quantity * POINTS_PER_PIECE for order in orders.values()],
    )
    granted = [
        PointsGranted(orderID=order, customer=customer, points=points)
        for order, customer, points in cursor.fetchall()
    ]
    outbox.append(cursor, [announce(each, traces[each.orderID]) for each in granted])


def announce(granted: PointsGranted, traceparent: str | None) -> Announcement:
    """Published by the relay, once this transaction is committed."""
    return Announcement(
        topic="loyalty-events",
        key=granted.customer,
        type="PointsGranted",
        event_id=f"{granted.orderID}:points",
        subject=granted.orderID,
        data=granted.model_dump_json(),
        traceparent=traceparent,
    )
