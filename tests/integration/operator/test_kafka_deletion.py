"""Who depends on a topic, and its removal, against a real broker."""

import asyncio
import secrets
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from eventpipeline_operator.adapters.kafka import KafkaAdmin
from eventpipeline_operator.adapters.kafka_deletion import KafkaDeletion
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity
from eventpipeline_operator.adapters.metrics import KAFKA_CALLS
from eventpipeline_operator.api.types import KafkaAccess
from eventpipeline_operator.desired.records import TopicRecord
from eventpipeline_operator.errors import Retryable
from servers.kafka import KafkaServer
from servers.local import free_port
from servers.waiting import wait_for

TOPICS = 50


async def no_secrets(namespace: str, name: str) -> dict[str, str]:
    raise AssertionError((namespace, name))


OPEN = KafkaSecurity(no_secrets, "", {})


@pytest.fixture
def access(kafka: KafkaServer) -> KafkaAccess:
    return KafkaAccess(kafka.bootstrap_servers)


@pytest.fixture
def admin() -> KafkaAdmin:
    return KafkaAdmin(OPEN)


@pytest.fixture
def deletion(admin: KafkaAdmin) -> KafkaDeletion:
    return KafkaDeletion(admin, OPEN)


@pytest.fixture
async def topic(admin: KafkaAdmin, access: KafkaAccess) -> str:
    name = f"team.{secrets.token_hex(4)}.orders"
    await create(access, admin, [TopicRecord("orders", name, partitions=3)])
    return name


async def create(access: KafkaAccess, admin: KafkaAdmin, records: list[TopicRecord]) -> None:
    """Until partitions have leaders, which a topic just created need not have."""
    assert await admin.create(access, records) == {}
    names, deletion = [record.name for record in records], KafkaDeletion(admin, OPEN)
    deadline = time.monotonic() + 20
    while True:
        try:
            assert set(await deletion.inspect(access, names)) == set(names)
        except Retryable:
            if time.monotonic() > deadline:
                raise
        else:
            return


def produce(access: KafkaAccess, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": access.servers, "log_level": 0})
    for number in range(count):
        producer.produce(topic, b"x", partition=number % 3)
    assert producer.flush(20) == 0


def reader(access: KafkaAccess, group: str, protocol: str = "classic") -> Consumer:
    classic = {"session.timeout.ms": 6000} if protocol == "classic" else {}
    return Consumer(
        {
            "bootstrap.servers": access.servers,
            "group.id": group,
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "log_level": 0,
            **classic,
        }
    )


@pytest.fixture(params=["classic", "consumer"])
def member(request: pytest.FixtureRequest, access: KafkaAccess, topic: str) -> Iterator[Consumer]:
    """A live member that has been assigned its partitions, and has read."""
    consumer = reader(access, f"{topic}-readers", request.param)
    consumer.subscribe([topic])
    produce(access, topic, 3)
    wait_for("a message", lambda: consumer.poll(1.0))
    yield consumer
    consumer.close()


async def test_records_are_those_between_start_and_end(
    access: KafkaAccess, deletion: KafkaDeletion, topic: str
) -> None:
    assert (await deletion.inspect(access, [topic]))[topic].records == 0
    produce(access, topic, 10)
    assert (await deletion.inspect(access, [topic]))[topic].records == 10
    client = AdminClient({"bootstrap.servers": access.servers, "log_level": 0})
    (done,) = client.delete_records([TopicPartition(topic, 0, 3)]).values()
    done.result(timeout=20)
    assert (await deletion.inspect(access, [topic]))[topic].records == 7


async def test_a_live_member_is_seen_as_long_as_it_lives(
    access: KafkaAccess, deletion: KafkaDeletion, topic: str, member: Consumer
) -> None:
    found = (await deletion.inspect(access, [topic]))[topic]
    assert set(found.live) == {f"{topic}-readers"}
    assert not found.committed
    member.commit(asynchronous=False)
    member.close()
    found = (await deletion.inspect(access, [topic]))[topic]
    assert set(found.committed) == {f"{topic}-readers"}
    assert not found.live


async def test_offsets_that_a_reader_without_a_group_session_stored_are_seen(
    access: KafkaAccess, deletion: KafkaDeletion, topic: str
) -> None:
    consumer = reader(access, f"{topic}-batch")
    consumer.commit(offsets=[TopicPartition(topic, 1, 0)], asynchronous=False)
    consumer.close()
    assert (await deletion.inspect(access, [topic]))[topic].committed == {f"{topic}-batch"}


async def test_readers_of_other_topics_do_not_matter(
    access: KafkaAccess, deletion: KafkaDeletion, admin: KafkaAdmin, member: Consumer, topic: str
) -> None:
    member.commit(asynchronous=False)
    other = f"{topic}.other"
    await create(access, admin, [TopicRecord("other", other)])
    found = await deletion.inspect(access, [other, f"{topic}.none"])
    assert set(found) == {other}
    assert (found[other].live, found[other].committed) == (frozenset(), frozenset())


async def test_a_topic_is_removed_when_it_is_the_same(
    access: KafkaAccess, deletion: KafkaDeletion, admin: KafkaAdmin, topic: str
) -> None:
    found = (await admin.describe(access, [topic], []))[topic]
    assert set(await deletion.remove(access, {topic: "another"})) == {topic}
    assert await admin.describe(access, [topic], [])
    assert await deletion.remove(access, {topic: found.id}) == {}
    assert await admin.describe(access, [topic], []) == {}
    assert await deletion.remove(access, {topic: found.id}) == {}


async def test_many_objects_that_go_at_once_share_few_calls(
    access: KafkaAccess, deletion: KafkaDeletion, admin: KafkaAdmin, topic: str
) -> None:
    names = [f"{topic}.{number}" for number in range(TOPICS)]
    await create(access, admin, [TopicRecord(name, name) for name in names])
    before = {call: calls(call) for call in ("list_consumer_groups", "delete_topics")}

    async def go(name: str) -> None:
        usage = (await deletion.inspect(access, [name]))[name]
        assert await deletion.remove(access, {name: usage.id}) == {}

    await asyncio.gather(*(go(name) for name in names))
    assert await admin.describe(access, names, []) == {}
    assert calls("list_consumer_groups") - before["list_consumer_groups"] <= 3
    assert calls("delete_topics") - before["delete_topics"] <= 5


def calls(name: str) -> float:
    """How often a call was made so far."""
    return sum(
        sample.value
        for metric in KAFKA_CALLS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["call"] == name
    )


async def test_a_broker_that_is_away_is_a_matter_of_time(deletion: KafkaDeletion) -> None:
    with pytest.raises(Retryable):
        await deletion.inspect(KafkaAccess(f"127.0.0.1:{free_port()}"), ["a"])
