"""A service's database in memory: tables, transactions, the outbox and the fence.

One thread, so a transaction is a copy of the tables that comes back when the block fails. Where a
real process can die or a real server can go away, the code asks `reach`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import psycopg2

from eventbus.clock import Clock
from eventbus.consumer import Partition
from eventbus.envelope import Record
from eventbus.errors import Unavailable
from eventbus.inbox import Step
from eventbus.outbox import Announcement, OutboxRow
from faults.observe import DeadLetter, Logged, Move

Reach = Callable[[str], None]
_NOTHING = (None, None, None, datetime.min.replace(tzinfo=UTC))  # filled in by the table


@dataclass
class Store:
    """The tables of one service."""

    service: str
    clock: Clock
    tables: dict[str, dict[Any, Any]] = field(default_factory=dict)
    outbox: dict[int, OutboxRow] = field(default_factory=dict)
    positions: dict[tuple[str, str, int], int] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    event_log: list[Logged] = field(default_factory=list)
    leader: object | None = None
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def table(self, name: str) -> dict[Any, Any]:
        """A table, made on first use."""
        return self.tables.setdefault(name, {})

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        before = (
            {name: dict(rows) for name, rows in self.tables.items()},
            dict(self.outbox),
            dict(self.positions),
            list(self.dead_letters),
            list(self.moves),
        )
        try:
            yield
        except BaseException:
            self.tables, self.outbox, self.positions, self.dead_letters, self.moves = before
            raise

    def append(self, announcements: Sequence[Announcement]) -> None:
        """Rows for the relay."""
        for a in announcements:
            self._add(
                OutboxRow(0, a.topic, a.key, a.type, a.event_id, a.subject, a.data, *_NOTHING)
            )

    def bury(self, record: Record, cause: str, topic: str) -> None:
        """A dead letter, and its row for the relay."""
        origin = record.origin
        self.dead_letters.append(DeadLetter(self.service, origin, cause))
        headers = (*record.headers, ("dlq_cause", cause.encode()), ("dlq_origin", origin.encode()))
        row = OutboxRow(0, topic, "", "DeadLetter", origin, "", None, *_NOTHING)
        self._add(replace(row, raw=record.value, headers=headers))

    def _add(self, row: OutboxRow) -> None:
        number = next(self.ids)
        self.outbox[number] = replace(row, id=number, created_at=self.clock.now())


class MemoryInbox:
    """Positions and dead letters; the fence can be taken away."""

    def __init__(
        self, store: Store, group: str, letters: Mapping[str, str], reach: Reach, *, fenced: bool
    ) -> None:
        self._store = store
        self._group = group
        self._letters = letters
        self._reach = reach
        self._fenced = fenced

    def positions(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The stored positions."""
        self._reach("positions")
        stored = self._store.positions
        keys = {partition: self._key(partition) for partition in partitions}
        return {partition: stored[key] for partition, key in keys.items() if key in stored}

    @contextmanager
    def transaction(self) -> Iterator["MemoryInbox"]:
        """One batch."""
        self._reach("received")
        with self._store.transaction():
            yield self
            self._reach("handled")
        self._reach("committed")

    @property
    def cursor(self) -> Any:
        """What handlers write to."""
        return self._store

    def advance(self, steps: Mapping[Partition, Step]) -> set[Partition]:
        """Move what stands where it is believed to stand."""
        moved = set()
        for partition, step in steps.items():
            key = self._key(partition)
            stored = self._store.positions.get(key)
            if stored != step.start and self._fenced:
                continue
            self._store.positions[key] = step.end
            where = f"{partition.topic_id}/{partition.number}"
            self._store.moves.append(
                Move(self._store.service, where, stored, step.end, by_injector=False)
            )
            moved.add(partition)
        return moved

    def bury(self, record: Record, cause: str) -> None:
        """Put aside."""
        self._store.bury(record, cause, self._letters[record.topic])

    def _key(self, partition: Partition) -> tuple[str, str, int]:
        return (self._group, partition.topic_id, partition.number)


class MemoryOutbox:
    """The queue of one relay process: rows leave when the block ends well and the session lives."""

    def __init__(self, store: Store, reach: Reach) -> None:
        self._store = store
        self._reach = reach
        self._session = object()

    def lead(self) -> bool:
        """The first to ask leads until its session ends."""
        if self._store.leader is None:
            self._store.leader = self._session
        return self._store.leader is self._session

    def end_session(self) -> None:
        """The server forgot us: the lock is free, an open transaction is void."""
        if self._store.leader is self._session:
            self._store.leader = None
        self._session = object()

    @contextmanager
    def batch(self, limit: int) -> Iterator[list[OutboxRow]]:
        """Take, hand over, commit."""
        session = self._session
        rows = [self._store.outbox[number] for number in sorted(self._store.outbox)[:limit]]
        if rows:
            self._reach("taken")
        yield rows
        if rows:
            self._reach("published")
        if session is not self._session:
            raise Unavailable("the session is gone")
        for row in rows:
            del self._store.outbox[row.id]
            if row.topic == "orders":
                self._store.event_log.append(Logged(row.event_id, row.type, row.subject))
        if rows:
            self._reach("cleared")

    def wait(self, timeout: float) -> None:
        """Nothing to wait for: the schedule decides."""

    def close(self) -> None:
        """As at a crash."""
        self.end_session()


def outage(message: str) -> Exception:
    """What psycopg2 raises when the server is away."""
    return psycopg2.OperationalError(message)
