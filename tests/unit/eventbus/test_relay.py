"""Outbox → broker."""

import threading

import pytest

from eventbus.clock import GATHER_SECONDS
from eventbus.envelope import Outgoing, read_event
from eventbus.errors import PublishFailed, Unavailable
from eventbus.memory import MemoryBroker, MemoryProducer
from eventbus.outbox import OutboxRow, derive
from eventbus.relay import Relay, RelayOptions, keep
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing
from fakes.eventbus import FakeOutbox, outbox_row
from fakes.time import FakeClock

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    for topic in ("kafka.orders", "kafka.commands", "x.order.dlq"):
        broker.create_topic(topic)
    return broker


def relay(broker: MemoryBroker, queue: FakeOutbox, expand: object = keep) -> Relay:
    topics = {"orders": "kafka.orders", "commands": "kafka.commands"}
    options = RelayOptions("/shop/order", topics, expand, limit=10)  # type: ignore[arg-type]
    return Relay(queue, MemoryProducer(broker), options, Tracing(None, 0), FakeClock())


def test_rows_become_cloud_events_in_their_order(broker: MemoryBroker) -> None:
    queue = FakeOutbox([outbox_row(n, traceparent=TRACE) for n in range(3)])
    assert relay(broker, queue).step() == 3
    events = [read_event(record) for record in broker.records("kafka.orders")]
    assert [event.id for event in events] == ["event-0", "event-1", "event-2"]
    assert events[0].source == "/shop/order"
    assert events[0].time == "2026-01-01T00:00:00.000000Z"
    assert events[0].traceparent == TRACE
    assert events[0].correlation_id == "subject"
    assert queue.rows == []


def test_what_kafka_does_not_confirm_stays(broker: MemoryBroker) -> None:
    queue = FakeOutbox([outbox_row()])
    broker.available = False
    with pytest.raises(PublishFailed):
        relay(broker, queue).step()
    assert len(queue.rows) == 1
    broker.available = True
    relay(broker, queue).step()
    assert len(broker.records("kafka.orders")) == 1


def test_one_row_may_become_several_records(broker: MemoryBroker) -> None:
    def expand(row: OutboxRow) -> list[OutboxRow]:
        return [row, derive(row, topic="commands", key="book", type="ReserveStock")]

    relay(broker, FakeOutbox([outbox_row()]), expand).step()
    (command,) = broker.records("kafka.commands")
    assert command.key == b"book"
    assert read_event(command).id == "event-1:ReserveStock"
    assert len(broker.records("kafka.orders")) == 1


def test_a_dead_letter_travels_as_it_came(broker: MemoryBroker) -> None:
    headers = (("dlq_cause", b"why"), ("x", b"\xff"))
    row = outbox_row(topic="x.order.dlq", data=None, raw=b"\xfe", raw_key=b"\xfd", headers=headers)
    relay(broker, FakeOutbox([row])).step()
    (letter,) = broker.records("x.order.dlq")
    assert (letter.key, letter.value, letter.headers) == (b"\xfd", b"\xfe", headers)


def test_a_topic_without_variable_is_named(broker: MemoryBroker) -> None:
    with pytest.raises(Unavailable, match="TOPIC_STOCK_COMMANDS is not set"):
        relay(broker, FakeOutbox([outbox_row(topic="stock-commands")])).step()


@pytest.mark.parametrize(("rows", "pauses"), [(1, 1), (10, 0), (13, 1)])
def test_only_a_batch_that_is_not_full_waits_for_others(
    broker: MemoryBroker, rows: int, pauses: int
) -> None:
    stop, clock = threading.Event(), FakeClock()

    class Ending(FakeOutbox):
        def wait(self, timeout: float) -> None:  # noqa: ARG002
            stop.set()

    queue = Ending([outbox_row(number) for number in range(rows)])
    options = RelayOptions("/shop/order", {"orders": "kafka.orders"}, limit=10)
    Relay(queue, MemoryProducer(broker), options, Tracing(None, 0), clock).run(stop, Heartbeat())
    assert len(clock.waits) == pauses
    assert all(0 < pause <= GATHER_SECONDS for pause in clock.waits)
    assert queue.rows == []


def test_nothing_to_do_publishes_nothing(broker: MemoryBroker) -> None:
    assert relay(broker, FakeOutbox()).step() == 0
    assert broker.records("kafka.orders") == []


def test_an_unsent_batch_is_taken_again_whole(broker: MemoryBroker) -> None:
    class Dying(MemoryProducer):
        def publish(self, messages: object) -> None:
            super().publish(messages)  # type: ignore[arg-type]
            raise KeyboardInterrupt  # after Kafka has it, before the commit

    queue = FakeOutbox([outbox_row()])
    options = RelayOptions("/s", {"orders": "kafka.orders"})
    dying = Relay(queue, Dying(broker), options, Tracing(None, 0), FakeClock())
    with pytest.raises(KeyboardInterrupt):
        dying.step()
    relay(broker, queue).step()
    ids = [read_event(record).id for record in broker.records("kafka.orders")]
    assert ids == ["event-1", "event-1"], "told twice under one id, never lost"


def test_outgoing_records_are_values() -> None:
    assert Outgoing("t", b"k", b"v", ()) == Outgoing("t", b"k", b"v", ())
