"""What eventbus expects of a broker: one suite for the one in memory and for real Kafka."""

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import pytest

from eventbus.consumer import Answer, Consumer, Partition
from eventbus.envelope import Outgoing, Record
from eventbus.errors import PublishFailed
from eventbus.producer import Producer

PARTITIONS = 3


class Listener:
    """Remembers its assignment; may know where to begin."""

    def __init__(self, starts: Mapping[tuple[str, int], int] | None = None) -> None:
        self.partitions: set[Partition] = set()
        self._starts = starts or {}

    def insist(self, ask: Callable[[], Answer]) -> Answer:
        return ask()

    def assigned(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        self.partitions |= set(partitions)
        known = {p: self._starts.get((p.topic, p.number)) for p in partitions}
        return {p: offset for p, offset in known.items() if offset is not None}

    def revoked(self, partitions: Sequence[Partition]) -> None:
        self.partitions -= set(partitions)


class Broker(ABC):
    """A broker under test."""

    @abstractmethod
    def create_topic(self, name: str, partitions: int) -> None: ...

    @abstractmethod
    def recreate_topic(self, name: str, partitions: int) -> None: ...

    @abstractmethod
    def producer(self) -> Producer: ...

    @abstractmethod
    def consumer(self, group: str) -> Consumer: ...


def message(topic: str, key: str, value: str) -> Outgoing:
    return Outgoing(topic, key.encode(), value.encode(), (("ce_id", b"1"),))


def read(consumer: Consumer, count: int, seconds: float = 40) -> list[Record]:
    """Poll until so many records came."""
    return read_all([consumer], count, seconds)


def read_all(consumers: Iterable[Consumer], count: int, seconds: float = 40) -> list[Record]:
    members = list(consumers)
    deadline = time.monotonic() + seconds
    records: list[Record] = []
    while len(records) < count:
        for consumer in members:
            records += consumer.poll(0.05, 100)
        assert time.monotonic() < deadline, f"only {len(records)} of {count} records came"
    return records


@contextmanager
def member(
    broker: Broker, group: str, topic: str, listener: Listener | None = None
) -> Iterator[tuple[Consumer, Listener]]:
    consumer = broker.consumer(group)
    listener = listener or Listener()
    consumer.subscribe([topic], listener)
    try:
        yield consumer, listener
    finally:
        consumer.close()


class BrokerContract:
    """Subclasses provide the `broker` fixture."""

    @pytest.fixture
    def group(self) -> str:
        return f"group-{secrets.token_hex(4)}"

    @pytest.fixture
    def topic(self, broker: Broker) -> str:
        name = f"topic-{secrets.token_hex(4)}"
        broker.create_topic(name, PARTITIONS)
        return name

    def test_a_record_arrives_as_it_was_published(
        self, broker: Broker, topic: str, group: str
    ) -> None:
        headers = (("ce_id", b"1"), ("x", b"\xff"))
        broker.producer().publish([Outgoing(topic, b"key", b"\x00value", headers)])
        with member(broker, group, topic) as (consumer, _):
            (record,) = read(consumer, 1)
        assert (record.key, record.value, record.headers) == (b"key", b"\x00value", headers)

    def test_records_of_one_key_keep_their_order(
        self, broker: Broker, topic: str, group: str
    ) -> None:
        sent = [message(topic, f"key-{n % 5}", str(n)) for n in range(50)]
        broker.producer().publish(sent)
        with member(broker, group, topic) as (consumer, _):
            records = read(consumer, 50)
        for key in {m.key for m in sent}:
            assert [r.value for r in records if r.key == key] == [
                m.value for m in sent if m.key == key
            ]

    def test_a_group_goes_on_where_it_acknowledged(
        self, broker: Broker, topic: str, group: str
    ) -> None:
        producer = broker.producer()
        producer.publish([message(topic, "key", str(n)) for n in range(4)])
        with member(broker, group, topic) as (consumer, _):
            first = read(consumer, 4)[0]
            partition = consumer.partition(topic, first.partition)
            assert partition is not None
            consumer.acknowledge({partition: first.offset + 2})
        with member(broker, group, topic) as (consumer, _):
            assert [record.value for record in read(consumer, 2)] == [b"2", b"3"]

    def test_the_listener_knows_better_than_the_group(
        self, broker: Broker, topic: str, group: str
    ) -> None:
        broker.producer().publish([message(topic, "key", str(n)) for n in range(4)])
        starts = {(topic, number): 3 for number in range(PARTITIONS)}
        with member(broker, group, topic, Listener(starts)) as (consumer, _):
            assert [record.value for record in read(consumer, 1)] == [b"3"]

    def test_members_share_the_partitions(self, broker: Broker, topic: str, group: str) -> None:
        with (
            member(broker, group, topic) as (first, of_first),
            member(broker, group, topic) as (second, of_second),
        ):
            deadline = time.monotonic() + 40
            while not (
                of_first.partitions
                and of_second.partitions
                and len(of_first.partitions | of_second.partitions) == PARTITIONS
            ):
                first.poll(0.05, 10)
                second.poll(0.05, 10)
                assert time.monotonic() < deadline
            assert not of_first.partitions & of_second.partitions
            broker.producer().publish([message(topic, f"key-{n}", str(n)) for n in range(30)])
            records = read_all([first, second], 30)
        assert sorted(int(r.value or b"") for r in records) == list(range(30))

    def test_who_leaves_hands_its_partitions_over(
        self, broker: Broker, topic: str, group: str
    ) -> None:
        with member(broker, group, topic) as (first, of_first):
            with member(broker, group, topic) as (second, of_second):
                deadline = time.monotonic() + 40
                while not of_second.partitions:
                    first.poll(0.05, 10)
                    second.poll(0.05, 10)
                    assert time.monotonic() < deadline
            deadline = time.monotonic() + 40
            while len(of_first.partitions) < PARTITIONS:
                first.poll(0.05, 10)
                assert time.monotonic() < deadline

    def test_a_paused_member_gets_nothing_until_it_resumes(
        self, broker: Broker, topic: str, group: str
    ) -> None:
        producer = broker.producer()
        producer.publish([message(topic, "key", "before")])
        with member(broker, group, topic) as (consumer, _):
            read(consumer, 1)
            consumer.pause()
            producer.publish([message(topic, "key", "after")])
            assert [record for _ in range(10) for record in consumer.poll(0.05, 10)] == []
            consumer.resume()
            assert [record.value for record in read(consumer, 1)] == [b"after"]

    def test_rewinding_repeats_from_there(self, broker: Broker, topic: str, group: str) -> None:
        broker.producer().publish([message(topic, "key", str(n)) for n in range(5)])
        with member(broker, group, topic) as (consumer, _):
            last = read(consumer, 5)[-1]
            partition = consumer.partition(topic, last.partition)
            assert partition is not None
            consumer.rewind(partition, 2)
            assert [record.value for record in read(consumer, 3)] == [b"2", b"3", b"4"]

    def test_a_recreated_topic_is_not_taken_for_the_old_one(
        self, broker: Broker, topic: str, group: str
    ) -> None:
        producer = broker.producer()
        producer.publish([message(topic, "key", "old")])
        with member(broker, group, topic) as (consumer, listener):
            read(consumer, 1)
            before = {partition.topic_id for partition in listener.partitions}
        broker.recreate_topic(topic, PARTITIONS)
        broker.producer().publish([message(topic, "key", "new")])
        with member(broker, group, topic) as (consumer, listener):
            assert [record.value for record in read(consumer, 1)] == [b"new"]
            after = {partition.topic_id for partition in listener.partitions}
        assert len(before) == len(after) == 1
        assert before != after

    def test_publishing_to_nowhere_fails(self, broker: Broker) -> None:
        with pytest.raises(PublishFailed):
            broker.producer().publish([message("no-such-topic", "key", "value")])

    def test_what_waits_is_counted(self, broker: Broker, topic: str, group: str) -> None:
        broker.producer().publish([message(topic, "key", str(n)) for n in range(5)])
        with member(broker, group, topic) as (consumer, _):
            first = read(consumer, 1)[0]
            partition = consumer.partition(topic, first.partition)
            assert partition is not None
            consumer.acknowledge({partition: 5})
            consumer.poll(0.05, 10)
            assert sum(consumer.lag().values()) == 0
