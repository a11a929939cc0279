"""A small bounded pool of psycopg2 connections, used by APIs and workers alike.

SQLAlchemy's pool does the same for 25 MiB and 0.6 s of start per process, which is why Alembic's
migration Job alone imports it. Connections rest in autocommit mode: a single statement costs one
round trip, a transaction opens explicitly.
"""

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  # a class, lower-cased there
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus.errors import Unavailable

CHECK_AFTER_IDLE_SECONDS = 10.0
CHECKOUT_SECONDS = 5.0

_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

# The other end looks too: a client whose machine is gone, or that stands still in the middle of a
# transaction, would hold its row locks for the two hours of a default keepalive, and the relay's
# lock with them. The longest honest pause is a relay that waits for Kafka (35 s).
#
# What we ask for is found by key, whatever the values and however full the table. Left to choose,
# Postgres plans a prepared statement anew each time, and reads all of a table that looks small
# (ADR 27).
_SESSION = (
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off;"
    " SET enable_mergejoin = off; SET jit = off;"
    " SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;"
    " SET idle_in_transaction_session_timeout = '60s'"
)


def connect(url: str, application: str = "") -> Connection:
    """One connection in autocommit mode; `Unavailable` if the server does not answer."""
    try:
        connection: Connection = psycopg2.connect(url, application_name=application, **_OPTIONS)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(_SESSION)
    except psycopg2.OperationalError as error:
        raise Unavailable(str(error).strip()) from error
    return connection


class Database:
    """Hands out connections, last used first; waits when all are taken, then gives up."""

    def __init__(self, url: str, size: int, application: str = "") -> None:
        self._connect: Callable[[], Connection] = lambda: connect(url, application)
        self._free = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[tuple[Connection, float]] = []
        self._closed = False

    @contextmanager
    def statement(self) -> Iterator[Cursor]:
        """A cursor whose every statement commits by itself."""
        with self._connection() as connection, connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A cursor inside one transaction: committed at the end, rolled back on any error."""
        with self._connection() as connection:
            connection.autocommit = False
            try:
                with connection.cursor() as cursor:
                    yield cursor
                connection.commit()
            except BaseException:
                if not connection.closed:
                    connection.rollback()
                raise
            finally:
                if not connection.closed:
                    connection.autocommit = True

    def is_reachable(self) -> bool:
        """Whether a trivial query is answered."""
        try:
            with self.statement() as cursor:
                cursor.execute("SELECT 1")
        except (psycopg2.Error, Unavailable):
            return False
        return True

    def close(self) -> None:
        """Close what rests here; what is in use closes when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        if not self._free.acquire(timeout=CHECKOUT_SECONDS):
            raise Unavailable("every database connection is busy")
        try:
            connection = self._checkout()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def _checkout(self) -> Connection:
        while True:
            with self._lock:
                resting = self._idle.pop() if self._idle else None
            if resting is None:
                return self._connect()
            connection, since = resting
            fresh = time.monotonic() - since < CHECK_AFTER_IDLE_SECONDS
            if (fresh and _is_silent(connection)) or _answers(connection):
                return connection

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not connection.closed and not self._closed:
                self._idle.append((connection, time.monotonic()))
                return
        connection.close()


def _is_silent(connection: Connection) -> bool:
    """A resting server has nothing to say but its farewell: seen here for two microseconds."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _answers(connection: Connection) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error:
        connection.close()
        return False
    return True


# What says that the record, not the database, is at fault.
RECORD_ERRORS = (psycopg2.DataError, psycopg2.IntegrityError)


def is_outage(error: BaseException) -> bool:
    """Whether trying again later is the answer to this error.

    Everything that Postgres reports about itself, a missing table or grant included: that stops
    each record alike and a person mends it, so no record must be given up for it.
    """
    if isinstance(error, Unavailable):
        return True
    return isinstance(error, psycopg2.Error) and not isinstance(error, RECORD_ERRORS)
