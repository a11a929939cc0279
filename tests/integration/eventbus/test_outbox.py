"""The outbox in real Postgres: order, atomicity, leadership, bell, event log."""

import threading
import time
from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus import outbox
from eventbus.database import Database, connect
from eventbus.outbox import Announcement, Doorbell, PostgresOutbox
from servers.waiting import wait_for


@pytest.fixture
def queue(database_url: str) -> Iterator[PostgresOutbox]:
    queue = PostgresOutbox(database_url, "relay", "orders")
    yield queue
    queue.close()


def announce(database: Database, *ids: str, topic: str = "orders") -> None:
    with database.transaction() as cursor:
        outbox.append(
            cursor, [Announcement(topic, "key", "OrderPlaced", i, "subject", "{}") for i in ids]
        )


def test_rows_leave_in_the_order_of_their_ids(queue: PostgresOutbox, database: Database) -> None:
    announce(database, *"abcde")
    with queue.batch(3) as rows:
        assert [row.event_id for row in rows] == ["a", "b", "c"]
    with queue.batch(3) as rows:
        assert [row.event_id for row in rows] == ["d", "e"]
    with queue.batch(3) as rows:
        assert rows == []


def test_a_failed_batch_stays(queue: PostgresOutbox, database: Database) -> None:
    announce(database, "a")
    with pytest.raises(RuntimeError), queue.batch(10):
        raise RuntimeError
    with queue.batch(10) as rows:
        assert [row.event_id for row in rows] == ["a"]


def test_a_transaction_that_commits_late_is_not_overlooked(
    queue: PostgresOutbox, database: Database, database_url: str
) -> None:
    slow = psycopg2.connect(database_url)
    outbox.append(slow.cursor(), [Announcement("orders", "k", "t", "slow", "s", "{}")])
    announce(database, "quick")
    with queue.batch(10) as rows:
        assert [row.event_id for row in rows] == ["quick"]
    slow.commit()
    slow.close()
    with queue.batch(10) as rows:
        assert [row.event_id for row in rows] == ["slow"]


def test_what_was_told_is_logged_with_it(queue: PostgresOutbox, database: Database) -> None:
    announce(database, "a", "b")
    announce(database, "command", topic="stock-commands")
    with pytest.raises(RuntimeError), queue.batch(10):
        raise RuntimeError
    with queue.batch(10):
        pass
    with database.statement() as cursor:
        cursor.execute("SELECT event_id FROM event_log ORDER BY position")
        assert cursor.fetchall() == [("a",), ("b",)]


def test_one_relay_leads_until_it_is_gone(queue: PostgresOutbox, database_url: str) -> None:
    standby = PostgresOutbox(database_url, "relay")
    assert queue.lead()
    assert not standby.lead()
    assert queue.lead()
    queue.close()
    assert wait_for("the lock", standby.lead)
    standby.close()


def test_relays_of_different_services_do_not_stop_each_other(
    queue: PostgresOutbox, database_url: str
) -> None:
    other = PostgresOutbox(database_url, "another-relay")
    assert queue.lead()
    assert other.lead()
    other.close()


def test_the_bell_wakes_the_relay(queue: PostgresOutbox, database_url: str) -> None:
    queue.lead()
    bell = Doorbell.started(database_url)
    threading.Timer(0.3, bell.ring).start()
    began = time.monotonic()
    queue.wait(20)
    assert time.monotonic() - began < 10
    bell.close()


class AskedAtTheEnd:
    """A connection that tells, when it is closed, which channels it still listens to."""

    closed = 0

    def __init__(self, url: str) -> None:
        self._connection = connect(url, "asked")
        self.channels: list[str] = []

    def cursor(self) -> Cursor:
        return self._connection.cursor()

    def close(self) -> None:
        with self.cursor() as cursor:
            cursor.execute("SELECT pg_listening_channels()")
            self.channels = [channel for (channel,) in cursor.fetchall()]
        self._connection.close()


def test_a_relay_that_leaves_listens_no_more(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = AskedAtTheEnd(database_url)
    monkeypatch.setattr(outbox, "connect", lambda *_: asked)
    queue = PostgresOutbox(database_url, "leaver")
    assert queue.lead()
    queue.close()
    assert asked.channels == []


def test_waiting_ends_without_a_bell(queue: PostgresOutbox) -> None:
    queue.lead()
    queue.wait(0.01)


def test_a_hundred_rings_are_few_notifications(database_url: str) -> None:
    listener = psycopg2.connect(database_url)
    listener.autocommit = True
    listener.cursor().execute("LISTEN outbox")
    bell = Doorbell.started(database_url)
    for _ in range(10_000):
        bell.ring()
    wait_for("a notification", lambda: listener.poll() or listener.notifies)
    bell.close()
    listener.poll()
    assert len(listener.notifies) < 100
    listener.close()
