"""The consumer loop against the broker in memory and a database in memory."""

import threading
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import Mock

import psycopg2
import pytest
import structlog
from pydantic import BaseModel

from eventbus.batch import BatchConsumer, ConsumerOptions
from eventbus.clock import GATHER_SECONDS
from eventbus.effects import Message
from eventbus.envelope import Event, Outgoing
from eventbus.errors import Crash
from eventbus.memory import MemoryBroker, MemoryConsumer
from eventbus.outbox import OutboxRow  # noqa: F401 — the fakes' vocabulary
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing
from fakes.eventbus import FakeInbox
from fakes.time import FakeClock


class Number(BaseModel):
    n: int


def note(tables: Any, messages: Sequence[Message[Any]]) -> None:
    tables.effects += [message.data.n for message in messages]


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create_topic("numbers", 2)
    return broker


@pytest.fixture
def inbox() -> FakeInbox:
    return FakeInbox()


def publish(broker: MemoryBroker, *numbers: int, key: str = "key", kind: str = "Number") -> None:
    for n in numbers:
        event = Event(kind, str(n), "/test", "s", "t", b'{"n": %d}' % n)
        broker.append(Outgoing("numbers", key.encode(), event.data, event.to_headers()))


def member(
    broker: MemoryBroker, inbox: FakeInbox, handler: Callable[..., None] = note, **options: Any
) -> BatchConsumer:
    consumer = BatchConsumer(
        MemoryConsumer(broker, "group"),
        inbox,
        handler,
        ConsumerOptions(["numbers"], {"Number": Number}, **options),
        Tracing(None, 0),
        FakeClock(),
    )
    consumer._consumer.subscribe(["numbers"], consumer)
    return consumer


def test_effects_and_positions_are_kept_together(broker: MemoryBroker, inbox: FakeInbox) -> None:
    publish(broker, 1, 2, 3)
    member(broker, inbox).step()
    assert inbox.tables.effects == [1, 2, 3]
    assert sum(inbox.tables.positions.values()) == 3


@pytest.mark.parametrize(("records", "pauses"), [(0, 0), (1, 1), (2, 0)])
def test_only_a_batch_that_is_not_full_waits_for_others(
    broker: MemoryBroker, inbox: FakeInbox, records: int, pauses: int
) -> None:
    publish(broker, *range(records))
    one = member(broker, inbox, limit=2)
    one.step()
    assert isinstance(one._clock, FakeClock)
    assert len(one._clock.waits) == pauses
    assert all(0 < pause <= GATHER_SECONDS for pause in one._clock.waits)


def test_the_next_member_begins_where_the_database_says(
    broker: MemoryBroker, inbox: FakeInbox
) -> None:
    publish(broker, 1, 2)
    first = member(broker, inbox)
    first.step()
    first._consumer.close()
    broker.group("group").committed.clear()  # the broker forgot; the database did not
    publish(broker, 3)
    member(broker, inbox).step()
    assert inbox.tables.effects == [1, 2, 3]


def test_a_zombie_is_refused_and_catches_up(broker: MemoryBroker, inbox: FakeInbox) -> None:
    publish(broker, 1)
    zombie = member(broker, inbox)
    zombie.step()
    publish(broker, 2)
    for partition in inbox.tables.positions:
        inbox.tables.positions[partition] += 1  # somebody else handled record 2
    zombie.step()
    assert inbox.tables.effects == [1]
    publish(broker, 3)
    zombie.step()
    assert inbox.tables.effects == [1, 3]


def test_a_refused_batch_is_not_half_applied_later(broker: MemoryBroker, inbox: FakeInbox) -> None:
    """Pieces of a halved batch that follow a refused piece are dropped with it."""
    publish(broker, 1, 2, 3, 4)
    calls = 0

    def moved_meanwhile(tables: Any, messages: Sequence[Message[Any]]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("halve it")
        note(tables, messages)

    consumer = member(broker, inbox, moved_meanwhile)
    original = consumer._narrow

    def narrow(part: Any, error: Exception) -> None:
        original(part, error)
        for partition in consumer._consumer.target:  # type: ignore[attr-defined]
            if broker.log_of(partition):
                inbox.tables.positions[partition] = 1  # a zombie applied record 1

    consumer._narrow = narrow  # type: ignore[method-assign]
    consumer.step()
    consumer.step()
    assert inbox.tables.effects == [2, 3, 4]


@pytest.mark.parametrize("outages", [1, 5])
def test_an_outage_is_waited_out_without_loss(
    broker: MemoryBroker, inbox: FakeInbox, outages: int
) -> None:
    publish(broker, 1, 2)
    consumer = member(broker, inbox)
    consumer.step()
    publish(broker, 3)
    inbox.outages = outages
    consumer.step()
    assert inbox.tables.effects == [1, 2, 3]


def test_a_record_that_cannot_be_read_is_buried_with_its_cause(
    broker: MemoryBroker, inbox: FakeInbox
) -> None:
    broker.append(Outgoing("numbers", b"key", b"\xff", ()))
    publish(broker, 1)
    broker.append(
        Outgoing(
            "numbers", b"key", b'{"n": "x"}', Event("Number", "1", "/", "", "", b"").to_headers()
        )
    )
    member(broker, inbox).step()
    assert inbox.tables.effects == [1]
    causes = [cause for _, cause in inbox.tables.buried]
    assert causes[0].startswith("no CloudEvent: ce_id")
    assert causes[1].startswith("Number: n: ")


def test_a_record_that_breaks_the_handler_is_found_and_buried(
    broker: MemoryBroker, inbox: FakeInbox
) -> None:
    def refuse_seven(tables: Any, messages: Sequence[Message[Any]]) -> None:
        note(tables, messages)
        if any(message.data.n == 7 for message in messages):
            raise psycopg2.DataError("seven")

    publish(broker, *range(1, 21))
    member(broker, inbox, refuse_seven).step()
    assert inbox.tables.effects == [n for n in range(1, 21) if n != 7]
    ((record, cause),) = inbox.tables.buried
    assert (record.value, cause) == (b'{"n": 7}', "DataError: seven")


def test_no_log_quotes_a_record_that_breaks_the_handler(
    broker: MemoryBroker, inbox: FakeInbox
) -> None:
    def refuse(_tables: Any, _messages: Sequence[Message[Any]]) -> None:
        raise ValueError("DETAIL: Failing row contains (ada@example.com)")

    publish(broker, 1)
    with structlog.testing.capture_logs() as logs:
        member(broker, inbox, refuse).step()
    assert [entry["cause"] for entry in logs if "cause" in entry] == ["ValueError", "ValueError"]
    assert "ada@example.com" not in str(logs)


def test_a_missing_table_is_an_outage_and_buries_nothing(
    broker: MemoryBroker, inbox: FakeInbox
) -> None:
    attempts = 0

    def migrated_later(tables: Any, messages: Sequence[Message[Any]]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise psycopg2.errors.UndefinedTable('relation "orders" does not exist')
        note(tables, messages)

    publish(broker, 1)
    member(broker, inbox, migrated_later).step()
    assert inbox.tables.effects == [1]
    assert inbox.tables.buried == []


def test_a_handler_that_refuses_everything_ends_the_process(
    broker: MemoryBroker, inbox: FakeInbox
) -> None:
    def broken(_tables: Any, _messages: Sequence[Message[Any]]) -> None:
        raise TypeError("a defect of ours")

    publish(broker, *range(20))
    with pytest.raises(Crash):
        member(broker, inbox, broken, max_unexplained_per_minute=5).step()


def test_a_loop_that_fails_tells_why_before_it_leaves_the_group(
    broker: MemoryBroker, inbox: FakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaving may hang: by then the reason is in the log and the process told to end."""

    def broken(*_: Any) -> None:
        raise Crash("as ordered")

    publish(broker, 1)
    one, stop = member(broker, inbox, broken), threading.Event()
    told_when_leaving = []
    monkeypatch.setattr(one._consumer, "close", lambda: told_when_leaving.append(stop.is_set()))
    with structlog.testing.capture_logs() as lines, pytest.raises(Crash):
        one.run(stop, Heartbeat())
    assert told_when_leaving == [True]
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["consumer.failed"]


def test_what_fails_after_the_commit_is_no_records_fault(
    broker: MemoryBroker, inbox: FakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(broker, 1, 2)
    one = member(broker, inbox)
    monkeypatch.setattr(one._consumer, "acknowledge", Mock(side_effect=OSError("a broken client")))
    with pytest.raises(OSError, match="a broken client"):
        one.step()
    assert inbox.tables.effects == [1, 2]
    assert inbox.tables.buried == []


def test_a_stop_while_the_database_is_away_is_no_failure(
    broker: MemoryBroker, inbox: FakeInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    one, inbox.outages = member(broker, inbox), 1_000

    monkeypatch.setattr(one._clock, "wait", lambda stop, _: stop.set())
    one.run(stop, Heartbeat())


def test_an_unknown_type_is_passed_over(broker: MemoryBroker, inbox: FakeInbox) -> None:
    publish(broker, 1, kind="LaterType")
    publish(broker, 2)
    member(broker, inbox).step()
    assert inbox.tables.effects == [2]
    assert inbox.tables.buried == []


def test_an_unknown_major_version_is_buried(broker: MemoryBroker, inbox: FakeInbox) -> None:
    headers = dict(Event("Number", "1", "/", "", "", b"").to_headers()) | {"ce_dataversion": b"2"}
    broker.append(Outgoing("numbers", b"key", b'{"n": 1}', tuple(headers.items())))
    member(broker, inbox).step()
    assert [cause for _, cause in inbox.tables.buried] == ["data version 2 of Number is not known"]


def test_a_recreated_topic_begins_anew(broker: MemoryBroker, inbox: FakeInbox) -> None:
    publish(broker, 1, 2)
    consumer = member(broker, inbox)
    consumer.step()
    broker.create_topic("numbers", 2)
    publish(broker, 3)
    consumer.step()
    assert inbox.tables.effects == [1, 2, 3]


def test_two_members_share_the_work(broker: MemoryBroker, inbox: FakeInbox) -> None:
    first, second = member(broker, inbox), member(broker, inbox)
    for n in range(20):
        publish(broker, n, key=str(n))
    first.step()
    second.step()
    assert sorted(inbox.tables.effects) == list(range(20))


def test_stopping_leaves_what_was_not_begun(broker: MemoryBroker, inbox: FakeInbox) -> None:
    from eventbus.runtime import Heartbeat  # noqa: PLC0415

    publish(broker, 1)
    stop = threading.Event()
    stop.set()
    consumer = BatchConsumer(
        MemoryConsumer(broker, "group"),
        inbox,
        note,
        ConsumerOptions(["numbers"], {"Number": Number}),
        Tracing(None, 0),
        FakeClock(),
    )
    consumer.run(stop, Heartbeat())
    assert inbox.tables.effects == []
    assert broker.group("group").members == []
