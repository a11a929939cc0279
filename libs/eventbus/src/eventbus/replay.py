"""Reads a history a second time, beside the reader who lives on it, and then takes its place.

The second reading has a group of its own, and with it positions of its own; its handler writes
where nobody looks yet. When it stands where the first stands, one transaction gives the first
reader the positions of the second, and the service does the same with what was written
(`switch`). The first reader then finds itself fenced, and goes on from there. A second reading
that ends in the middle has changed nothing that anybody sees; the next one continues it.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

import structlog
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus.batch import BatchConsumer
from eventbus.clock import SystemClock
from eventbus.consumer import Partition
from eventbus.database import Database
from eventbus.envelope import Record
from eventbus.errors import Crash
from eventbus.inbox import Inbox, InboxTransaction, Step
from eventbus.runtime import Heartbeat

log = structlog.get_logger(__name__)

NEAR = 2_000  # records: so close behind, the first reader may be asked to wait for the second
HOLD_SECONDS = 5.0  # the longest that it is asked to


@dataclass(frozen=True, slots=True)
class Readers:
    """The groups of one topic's first and second reader."""

    topic: str
    first: str
    second: str


class History(Protocol):
    """What is asked about the topic itself."""

    def partitions(self) -> Sequence[Partition]:
        """All that there are now."""
        ...

    def begins_at(self) -> int:
        """The first offset that is still there; 0 if nothing was ever removed."""
        ...


class Replay:
    """One second reading, from where it stands to the switch."""

    def __init__(
        self,
        consumer: BatchConsumer,
        database: Database,
        readers: Readers,
        history: History,
        switch: Callable[[Cursor], None],
    ) -> None:
        self._consumer = consumer
        self._database = database
        self._readers = readers
        self._history = history
        self._switch = switch
        self._clock = SystemClock()

    def run(self, stop: threading.Event, heartbeat: Heartbeat) -> bool:
        """Answers whether the place was taken; not if it was told to stop before."""
        self._refuse_half_a_history()
        with closing(self._consumer.turns(stop, heartbeat)) as turns:
            for taken in turns:
                with self._database.statement() as cursor:
                    behind = _behind(cursor, self._readers)
                near = not behind or (taken > 0 and behind <= NEAR)
                if near and self._take_place(turns):
                    log.info("replay.switched", topic=self._readers.topic)
                    return True
        return False

    def _refuse_half_a_history(self) -> None:
        """What the topic does not hold any more would be forgotten."""
        lives = {partition.topic_id for partition in self._history.partitions()}
        with self._database.statement() as cursor:
            cursor.execute(
                "SELECT topic_id FROM consumer_offset"
                " WHERE consumer_group = %(first)s AND topic = %(topic)s",
                _values(self._readers),
            )
            lives.update(row[0] for row in cursor)
        if len(lives) > 1 or self._history.begins_at():
            raise Crash(f"{self._readers.topic} does not hold its beginning: nothing is read anew")

    def _take_place(self, turns: Iterator[int]) -> bool:
        """The first reader stands still at its next batch until this is over."""
        partitions = self._history.partitions()
        with self._database.transaction() as cursor:
            _hold(cursor, self._readers, partitions)
            until = self._clock.monotonic() + HOLD_SECONDS
            while _behind(cursor, self._readers):
                if self._clock.monotonic() > until or next(turns, None) is None:
                    return False
            _succeed(cursor, self._readers)
            self._switch(cursor)
        return True


def _behind(cursor: Cursor, readers: Readers) -> int:
    """Records that the first has read and the second has not."""
    cursor.execute(
        "SELECT coalesce(sum(greatest(0, f.next_offset - coalesce(s.next_offset, 0))), 0)::bigint"
        " FROM consumer_offset AS f LEFT JOIN consumer_offset AS s"
        " ON s.consumer_group = %(second)s"
        " AND s.topic_id = f.topic_id AND s.partition = f.partition"
        " WHERE f.consumer_group = %(first)s AND f.topic = %(topic)s",
        _values(readers),
    )
    row = cursor.fetchone()
    assert row is not None  # noqa: S101  # an aggregate
    return int(row[0])


def _hold(cursor: Cursor, readers: Readers, partitions: Sequence[Partition]) -> None:
    """Every row that the first reader's fence moves, or would begin with."""
    cursor.execute(
        "INSERT INTO consumer_offset (consumer_group, topic, topic_id, partition, next_offset)"
        " SELECT %s, v.*, 0 FROM unnest(%s::text[], %s::text[], %s::int[]) AS v"
        " ON CONFLICT DO NOTHING",
        [
            readers.first,
            [partition.topic for partition in partitions],
            [partition.topic_id for partition in partitions],
            [partition.number for partition in partitions],
        ],
    )
    cursor.execute(
        "SELECT 1 FROM consumer_offset WHERE consumer_group = %(first)s AND topic = %(topic)s"
        " ORDER BY topic_id, partition FOR UPDATE",
        _values(readers),
    )


def _succeed(cursor: Cursor, readers: Readers) -> None:
    """The second's positions become the first's."""
    cursor.execute(
        "WITH gone AS (DELETE FROM consumer_offset"
        " WHERE consumer_group = %(second)s AND topic = %(topic)s RETURNING *)"
        " UPDATE consumer_offset AS f SET next_offset = gone.next_offset, updated_at = now()"
        " FROM gone WHERE f.consumer_group = %(first)s"
        " AND f.topic_id = gone.topic_id AND f.partition = gone.partition",
        _values(readers),
    )


def _values(readers: Readers) -> dict[str, str]:
    return {"topic": readers.topic, "first": readers.first, "second": readers.second}


class ReplayInbox:
    """An inbox that puts nothing aside which the first reader has put aside."""

    def __init__(self, inbox: Inbox, readers: Readers) -> None:
        self._readers = readers
        self.positions = inbox.positions
        self._begin: Callable[[], AbstractContextManager[InboxTransaction]] = inbox.transaction

    @contextmanager
    def transaction(self) -> Iterator[InboxTransaction]:
        """As the inbox's own."""
        with self._begin() as transaction:
            yield _ReplayTransaction(transaction, self._readers)


class _ReplayTransaction:
    def __init__(self, transaction: InboxTransaction, readers: Readers) -> None:
        self._transaction = transaction
        self._readers = readers

    @property
    def cursor(self) -> Cursor:
        return self._transaction.cursor

    def advance(self, steps: Mapping[Partition, Step]) -> set[Partition]:
        return self._transaction.advance(steps)

    def bury(self, record: Record, cause: str) -> None:
        self.cursor.execute(
            "SELECT 1 FROM dead_letter WHERE consumer_group = %s AND topic = %s"
            " AND partition = %s AND record_offset = %s LIMIT 1",
            [self._readers.first, record.topic, record.partition, record.offset],
        )
        if self.cursor.fetchone() is None:
            self._transaction.bury(record, cause)
