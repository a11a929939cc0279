"""The outbox table: written with the state it announces, emptied by the relay in order.

Rows leave by `DELETE … RETURNING` inside a transaction that commits only after Kafka confirmed
them: a crash repeats, never loses. One relay at a time is active (a session lock in Postgres);
others stand by.
"""

import base64
import json
import select
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

import psycopg2
import structlog
from psycopg2.extensions import connection as Connection  # noqa: N812
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus.clock import GATHER_SECONDS
from eventbus.database import connect
from eventbus.envelope import Headers
from eventbus.errors import Unavailable
from eventbus.statements import Statement

log = structlog.get_logger(__name__)

CHANNEL = "outbox"
# Each ring is a commit under a global lock. A relay that has just carried a batch looks again by
# itself, so what comes soon after a ring needs none of its own.
RING_SECONDS = 2 * GATHER_SECONDS

_APPEND = Statement(
    "append_to_outbox",
    ["text[]"] * 7,
    "INSERT INTO outbox (topic, key, type, event_id, subject, data, traceparent)"
    " SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)",
)
_SHOWN = (
    "SELECT id, topic, key, type, event_id, subject, data, raw, headers, traceparent, created_at,"
    " raw_key FROM gone ORDER BY id"
)
_TAKE = Statement(
    "take_from_outbox",
    ["int"],
    "WITH gone AS (DELETE FROM outbox WHERE id = ANY(ARRAY("  # noqa: S608
    f" SELECT id FROM outbox ORDER BY id LIMIT $1)) RETURNING *) {_SHOWN}",
)
_TAKE_AND_LOG = Statement(
    "take_from_outbox_and_log",
    ["int", "text"],
    "WITH gone AS (DELETE FROM outbox WHERE id = ANY(ARRAY("  # noqa: S608
    " SELECT id FROM outbox ORDER BY id LIMIT $1)) RETURNING *),"
    " logged AS (INSERT INTO event_log (event_id, type, subject, data, traceparent, created_at)"
    " SELECT event_id, type, subject, data, traceparent, created_at FROM gone"
    f" WHERE topic = $2 ORDER BY id) {_SHOWN}",
)


@dataclass(frozen=True, slots=True)
class Announcement:
    """One event to be published, as a use case hands it over."""

    topic: str
    key: str
    type: str
    event_id: str
    subject: str
    data: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One row on its way out."""

    id: int
    topic: str
    key: str
    type: str
    event_id: str
    subject: str
    data: str | None
    raw: bytes | None
    headers: Headers | None
    traceparent: str | None
    created_at: datetime
    raw_key: bytes | None = None


def derive(row: OutboxRow, *, topic: str, key: str, type: str) -> OutboxRow:  # noqa: A002
    """The same fact for another topic, with an id of its own that stays the same on a repeat."""
    return replace(row, topic=topic, key=key, type=type, event_id=f"{row.event_id}:{type}")


class OutboxQueue(Protocol):
    """What the relay takes its rows from."""

    def lead(self) -> bool:
        """Become, or still be, the one active relay."""
        ...

    def batch(self, limit: int) -> AbstractContextManager[list["OutboxRow"]]:
        """A context manager yielding rows; they are gone if its block ends well, else kept."""
        ...

    def wait(self, timeout: float) -> None:
        """Until somebody rings or the time is over."""
        ...

    def close(self) -> None:
        """Give up leadership."""
        ...


def append(cursor: Cursor, announcements: Sequence[Announcement]) -> None:
    """Insert in the caller's transaction, in one statement whatever their number."""
    if not announcements:
        return
    _APPEND.run(
        cursor,
        [announcement.topic for announcement in announcements],
        [announcement.key for announcement in announcements],
        [announcement.type for announcement in announcements],
        [announcement.event_id for announcement in announcements],
        [announcement.subject for announcement in announcements],
        [announcement.data for announcement in announcements],
        [announcement.traceparent for announcement in announcements],
    )


def encode_headers(headers: Headers) -> str:
    """Headers as JSON; their values are bytes and may be anything."""
    return json.dumps([[name, base64.b64encode(value).decode()] for name, value in headers])


def _decode_headers(stored: Any) -> Headers | None:
    if stored is None:
        return None
    return tuple((name, base64.b64decode(value)) for name, value in stored)


class PostgresOutbox:
    """The queue of one service's database; keeps its own connection, and with it the lock."""

    def __init__(self, url: str, name: str, logged_topic: str | None = None) -> None:
        self._url = url
        self._name = name
        self._logged = logged_topic
        self._connection: Connection | None = None
        self._leading = False

    def lead(self) -> bool:
        """Take the lock if it is free; a lost connection has lost it."""
        with self._outages():
            connection = self._open()
            if not self._leading:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT pg_try_advisory_lock(%s)", [zlib.crc32(self._name.encode())]
                    )
                    self._leading = bool(cursor.fetchone() == (True,))
                    if self._leading:
                        cursor.execute(f"LISTEN {CHANNEL}")
        return self._leading

    @contextmanager
    def batch(self, limit: int) -> Iterator[list[OutboxRow]]:
        """Delete and return up to `limit` rows; the commit follows the block."""
        with self._outages():
            connection = self._open()
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                try:
                    if self._logged:
                        _TAKE_AND_LOG.run(cursor, limit, self._logged)
                    else:
                        _TAKE.run(cursor, limit)
                    yield [_to_row(row) for row in cursor.fetchall()]
                except BaseException:
                    if not connection.closed:
                        cursor.execute("ROLLBACK")
                    raise
                cursor.execute("COMMIT")

    def wait(self, timeout: float) -> None:
        """Sleep on the connection until a notification arrives."""
        with self._outages():
            connection = self._open()
            if not connection.notifies:
                select.select([connection], [], [], timeout)
                connection.poll()
            connection.notifies.clear()

    def close(self) -> None:
        """Closing the session frees the lock.

        Who still listens may be sent a notification just then, and the server would note a lost
        client.
        """
        if self._connection is not None:
            if self._leading:
                with suppress(psycopg2.Error), self._connection.cursor() as cursor:
                    cursor.execute("UNLISTEN *")
            self._connection.close()
        self._connection = None
        self._leading = False

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._leading = False
            self._connection = connect(self._url, self._name)
        return self._connection

    @contextmanager
    def _outages(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            self.close()
            raise Unavailable(str(error).strip()) from error


def _to_row(row: tuple[Any, ...]) -> OutboxRow:
    *shown, raw, headers, trace, created_at, raw_key = row
    number, topic, key, kind, event_id, subject, data = shown
    return OutboxRow(
        id=number,
        topic=topic,
        key=key,
        type=kind,
        event_id=event_id,
        subject=subject,
        data=data,
        raw=None if raw is None else bytes(raw),
        headers=_decode_headers(headers),
        traceparent=trace,
        created_at=created_at,
        raw_key=None if raw_key is None else bytes(raw_key),
    )


class Doorbell:
    """Wakes the relay after a commit: coalesced, from a connection and a thread of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._rung = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)

    @classmethod
    def started(cls, url: str) -> "Doorbell":
        """A bell with its thread running; make it after the fork."""
        bell = cls(url)
        bell._thread.start()
        return bell

    def ring(self) -> None:
        """Something was committed. Costs nothing when the bell is ringing already."""
        if not self._rung.is_set():
            self._rung.set()

    def close(self) -> None:
        """Stop ringing; the relay polls anyway."""
        self._stop.set()
        self._rung.set()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        connection: Connection | None = None
        while self._rung.wait() and not self._stop.is_set():
            self._rung.clear()
            try:
                if connection is None or connection.closed:
                    connection = connect(self._url, "doorbell")
                with connection.cursor() as cursor:
                    cursor.execute(f"NOTIFY {CHANNEL}")
            except (psycopg2.Error, Unavailable) as error:
                # The relay's own poll makes up for a bell that does not ring.
                log.debug("doorbell.silent", cause=str(error).strip())
                connection = None
                self._stop.wait(1.0)
            self._stop.wait(RING_SECONDS)
        if connection is not None:
            connection.close()
