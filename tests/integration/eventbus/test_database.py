"""The connection pool against real Postgres."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest

from eventbus import database as module
from eventbus.database import Database, is_outage
from eventbus.errors import Unavailable
from servers.local import free_port
from servers.postgres import PostgresServer
from servers.waiting import wait_for


def backend(database: Database) -> int:
    with database.statement() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        row = cursor.fetchone()
        assert row is not None
        return int(row[0])


def test_connections_are_used_again(database: Database) -> None:
    assert backend(database) == backend(database)


def test_no_more_connections_than_allowed_and_everyone_is_served(database: Database) -> None:
    with ThreadPoolExecutor(16) as pool:
        backends = set(pool.map(lambda _: backend(database), range(100)))
    assert len(backends) <= 4


def test_who_waits_too_long_is_told(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKOUT_SECONDS", 0.05)
    small = Database(database_url, 1)
    with small.statement(), pytest.raises(Unavailable, match="busy"):
        backend(small)
    small.close()


def test_a_connection_that_died_at_rest_is_replaced(
    database: Database, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECK_AFTER_IDLE_SECONDS", 0.0)
    killed = backend(database)
    admin = psycopg2.connect(postgres.url("postgres"))
    admin.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", [killed])
    admin.close()
    assert backend(database) != killed


def test_no_request_meets_a_connection_that_the_server_closed(
    database: Database, postgres: PostgresServer
) -> None:
    with ThreadPoolExecutor(4) as pool:
        together = threading.Barrier(4)
        killed = set(pool.map(lambda _: backend_with(database, together), range(4)))
    assert len(killed) == 4
    admin = psycopg2.connect(postgres.url("postgres"))
    for pid in killed:
        admin.cursor().execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    admin.close()
    for _ in range(4):
        assert backend(database) not in killed


def backend_with(database: Database, together: threading.Barrier) -> int:
    """The server's process behind one of several connections that are in use together."""
    with database.statement() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        row = cursor.fetchone()
        together.wait()
        assert row is not None
        return int(row[0])


def test_a_failed_statement_leaves_a_usable_connection(database: Database) -> None:
    with pytest.raises(psycopg2.Error), database.transaction() as cursor:
        cursor.execute("SELECT nonsense")
    with database.transaction() as cursor:
        cursor.execute("INSERT INTO effect VALUES (1)")
    with database.statement() as cursor:
        cursor.execute("SELECT count(*) FROM effect")
        assert cursor.fetchone() == (1,)


def test_a_server_that_is_away_is_unavailable() -> None:
    nowhere = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/none", 1)
    assert not nowhere.is_reachable()
    with pytest.raises(Unavailable):
        backend(nowhere)


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (psycopg2.OperationalError(), True),
        (psycopg2.errors.DeadlockDetected(), True),
        (psycopg2.errors.UndefinedTable(), True),
        (psycopg2.errors.InsufficientPrivilege(), True),
        (psycopg2.errors.NumericValueOutOfRange(), False),
        (psycopg2.errors.NotNullViolation(), False),
        (ValueError(), False),
    ],
)
def test_errors_of_the_record_are_told_from_errors_of_the_database(
    error: Exception, *, outage: bool
) -> None:
    assert is_outage(error) is outage


def test_the_server_ends_a_session_whose_client_is_gone_or_stands_still(database: Database) -> None:
    asked = ("idle_in_transaction_session_timeout", "tcp_keepalives_idle")
    with database.statement() as cursor:
        cursor.execute("SELECT current_setting(%s), current_setting(%s)", asked)
        assert cursor.fetchone() == ("1min", "10")


def test_a_transaction_that_the_server_ended_is_an_outage(database: Database) -> None:
    with pytest.raises(psycopg2.Error) as ended:
        stand_still(database)
    assert is_outage(ended.value)


def stand_still(database: Database) -> None:
    """In the middle of a transaction, for longer than the server allows."""
    with database.transaction() as cursor, database.statement() as other:
        cursor.execute("SET idle_in_transaction_session_timeout = 20")
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()
        wait_for("the end of the session", lambda: not is_alive(other, pid))
        cursor.execute("SELECT 1")


def is_alive(cursor: psycopg2.extensions.cursor, pid: object) -> bool:
    cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid])
    return cursor.fetchone() is not None
