"""Kafka → statistics: what became of orders is counted as it is told to everyone.

The service hears its own events from the topic, like any other reader: what was counted can be
counted anew from the topic's beginning (`rebuild`).
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus.effects import Handler, Message
from eventbus.envelope import read_time
from order_service.adapters.statistics import PostgresTallies
from order_service.domain import EVENT_OF
from order_service.messages import CountedOrder
from order_service.statistics import Change, Increments, count

MODELS = dict.fromkeys(EVENT_OF.values(), CountedOrder)
_STATUS = {event: status for status, event in EVENT_OF.items()}


class Tallies(Protocol):
    """Where it is counted, inside a batch's transaction."""

    def claim(self, ids: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
        """Those that were not counted before; from now on they are."""
        ...

    def clocks(self, partitions: Collection[int]) -> dict[int, datetime]:
        """The latest time that was heard in each partition."""
        ...

    def add(self, increments: Increments) -> None:
        """Store what a batch adds."""
        ...


def count_batch(changes: Sequence[Change], tallies: Tallies, lateness: timedelta) -> None:
    """A batch in four statements, whatever its size."""
    fresh = tallies.claim({change.id for change in changes})
    clocks = tallies.clocks({change.partition for change in changes})
    tallies.add(count(changes, fresh, clocks, lateness))


def build_handler(lateness: timedelta, generation: int | None = None) -> Handler:
    """Counts for one generation; without one, for that which readers see at the time."""

    def handle(cursor: Cursor, messages: Sequence[Message[Any]]) -> None:
        tallies = PostgresTallies.of(cursor, generation)
        count_batch([_change(message) for message in messages], tallies, lateness)

    return handle


def _change(message: Message[Any]) -> Change:
    return Change(
        order_id=str(message.data.orderID),
        version=message.data.version,
        status=_STATUS[message.event.type],
        product=message.data.product,
        quantity=message.data.quantity,
        at=read_time(message.event),
        partition=message.partition,
    )
