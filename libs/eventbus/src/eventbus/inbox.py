"""The fence: consumed offsets live in the same transaction as what the records caused.

`advance` moves a partition's position from where this consumer believes it to be. If someone else
moved it (we were a zombie, or saw a record twice), the batch is refused. The row is keyed by the
topic's Kafka id. Dead letters are written here too, with an outbox row for the dead-letter topic.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus.consumer import Partition
from eventbus.database import Database
from eventbus.envelope import Headers, Record
from eventbus.outbox import encode_headers
from eventbus.statements import Statement

# Kafka takes a megabyte per record unless a topic says otherwise, and counts it compressed, while a
# producer counts before. So what came in may be too large to go out again, and an outbox row that
# Kafka refuses would stop the relay for good.
LARGEST_RECORD = 900_000
KEPT_OF_A_LARGER = 65_536
LONGEST_CAUSE = 2_000

_MOVE = Statement(
    "move_positions",
    ["text[]", "int[]", "bigint[]", "bigint[]", "text"],
    "UPDATE consumer_offset AS o SET next_offset = v.stop, updated_at = now()"
    " FROM unnest($1, $2, $3, $4) AS v (topic_id, partition, start, stop)"
    " WHERE o.consumer_group = $5 AND o.topic_id = v.topic_id"
    " AND o.partition = v.partition AND o.next_offset = v.start"
    " RETURNING o.topic_id, o.partition",
)


@dataclass(frozen=True, slots=True)
class Step:
    """A move of one partition: from the believed position (None: never seen here) to the next."""

    start: int | None
    end: int


class InboxTransaction(Protocol):
    """One batch's transaction."""

    @property
    def cursor(self) -> Cursor:
        """Where handlers write."""
        ...

    def advance(self, steps: Mapping[Partition, Step]) -> set[Partition]:
        """Move positions; answers the partitions that stood where we believed."""
        ...

    def bury(self, record: Record, cause: str) -> None:
        """Put a record aside for good, with the reason."""
        ...


class Inbox(Protocol):
    """Where positions are kept."""

    def positions(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The stored positions; partitions never seen are left out."""
        ...

    def transaction(self) -> AbstractContextManager[InboxTransaction]:
        """Begin one batch."""
        ...


class PostgresInbox:
    """Positions and dead letters in the service's own database."""

    def __init__(
        self, database: Database, group: str, dead_letter_topics: Mapping[str, str]
    ) -> None:
        self._database = database
        self._group = group
        self._dead_letter_topics = dead_letter_topics

    def positions(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Read the stored positions."""
        with self._database.statement() as cursor:
            cursor.execute(
                "SELECT topic_id, partition, next_offset FROM consumer_offset"
                " WHERE consumer_group = %s AND topic_id = ANY(%s)",
                [self._group, [partition.topic_id for partition in partitions]],
            )
            stored = {(topic_id, number): offset for topic_id, number, offset in cursor}
        return {
            partition: stored[partition.topic_id, partition.number]
            for partition in partitions
            if (partition.topic_id, partition.number) in stored
        }

    @contextmanager
    def transaction(self) -> Iterator["_PostgresTransaction"]:
        """Effects, positions and dead letters commit together or not at all."""
        with self._database.transaction() as cursor:
            yield _PostgresTransaction(cursor, self._group, self._dead_letter_topics)


class _PostgresTransaction:
    def __init__(self, cursor: Cursor, group: str, dead_letter_topics: Mapping[str, str]) -> None:
        self.cursor = cursor
        self._group = group
        self._dead_letter_topics = dead_letter_topics

    def advance(self, steps: Mapping[Partition, Step]) -> set[Partition]:
        known = {partition: step for partition, step in steps.items() if step.start is not None}
        fresh = {partition: step for partition, step in steps.items() if step.start is None}
        return self._move(known) | self._begin(fresh)

    def _move(self, steps: Mapping[Partition, Step]) -> set[Partition]:
        if not steps:
            return set()
        ordered = sorted(steps)
        _MOVE.run(
            self.cursor,
            [partition.topic_id for partition in ordered],
            [partition.number for partition in ordered],
            [steps[partition].start for partition in ordered],
            [steps[partition].end for partition in ordered],
            self._group,
        )
        return self._returned(ordered)

    def _begin(self, steps: Mapping[Partition, Step]) -> set[Partition]:
        if not steps:
            return set()
        ordered = sorted(steps)
        self.cursor.execute(
            "INSERT INTO consumer_offset (consumer_group, topic, topic_id, partition, next_offset)"
            " SELECT %s, v.* FROM unnest(%s::text[], %s::text[], %s::int[], %s::bigint[]) AS v"
            " ON CONFLICT DO NOTHING RETURNING topic_id, partition",
            [
                self._group,
                [partition.topic for partition in ordered],
                [partition.topic_id for partition in ordered],
                [partition.number for partition in ordered],
                [steps[partition].end for partition in ordered],
            ],
        )
        return self._returned(ordered)

    def _returned(self, candidates: Sequence[Partition]) -> set[Partition]:
        moved = set(self.cursor.fetchall())
        return {c for c in candidates if (c.topic_id, c.number) in moved}

    def bury(self, record: Record, cause: str) -> None:
        cause = cause.replace("\0", "\ufffd")[:LONGEST_CAUSE]  # what Postgres can hold
        self.cursor.execute(
            "INSERT INTO dead_letter (consumer_group, topic, partition, record_offset, key, value,"
            " headers, cause) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                self._group,
                record.topic,
                record.partition,
                record.offset,
                record.key,
                record.value,
                encode_headers(record.headers),
                cause,
            ],
        )
        topic = self._dead_letter_topics.get(record.topic)
        if topic is None:
            return
        key, value, carried = _shortened(record)
        headers = (
            *carried,
            ("dlq_cause", cause.encode()),
            ("dlq_origin", record.origin.encode()),
            ("dlq_group", self._group.encode()),
        )
        self.cursor.execute(
            "INSERT INTO outbox (topic, key, type, event_id, subject, raw, raw_key, headers)"
            " VALUES (%s, '', 'DeadLetter', %s, '', %s, %s, %s)",
            [topic, record.origin, value, key, encode_headers(headers)],
        )


def _shortened(record: Record) -> tuple[bytes | None, bytes | None, Headers]:
    """Key, value and headers for the dead-letter topic; the table keeps the whole."""
    sizes = [len(name) + len(value or b"") for name, value in record.headers]
    size = len(record.key or b"") + len(record.value or b"") + sum(sizes)
    if size <= LARGEST_RECORD:
        return record.key, record.value, record.headers
    kept = record.headers if sum(sizes) <= KEPT_OF_A_LARGER else ()
    mark = ("dlq_shortened_from", str(size).encode())
    return (
        record.key and record.key[:KEPT_OF_A_LARGER],
        record.value and record.value[:KEPT_OF_A_LARGER],
        (*kept, mark),
    )
