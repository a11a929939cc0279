"""What a real broker says of consumer groups, as scaling sees it."""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from eventpipeline_operator.adapters.kafka import KafkaAdmin
from eventpipeline_operator.adapters.kafka_lag import PAUSE_SECONDS, KafkaLag
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity
from eventpipeline_operator.api.offsets import GroupOffsets, PartitionOffsets
from eventpipeline_operator.api.types import KafkaAccess, Scale
from eventpipeline_operator.desired.records import ScalingRecord, TopicRecord
from servers.kafka import KafkaServer
from servers.local import free_port


async def no_secrets(namespace: str, name: str) -> dict[str, str]:
    raise AssertionError((namespace, name))


@pytest.fixture
def security() -> KafkaSecurity:
    return KafkaSecurity(no_secrets, "", {})


@pytest.fixture
def admin(security: KafkaSecurity) -> KafkaAdmin:
    return KafkaAdmin(security)


@pytest.fixture
def lag(admin: KafkaAdmin, security: KafkaSecurity) -> KafkaLag:
    return KafkaLag(admin, security)


@pytest.fixture
async def group(kafka: KafkaServer, admin: KafkaAdmin) -> ScalingRecord:
    """A group that reads two topics: three records in one partition, the others empty."""
    name = f"team.{secrets.token_hex(4)}"
    access = KafkaAccess(kafka.bootstrap_servers, "team")
    topics = [TopicRecord(each, f"{name}.{each}", partitions=2) for each in ("a", "b")]
    assert await admin.create(access, topics) == {}
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for _ in range(3):
        producer.produce(f"{name}.a", b"x", partition=1)
    assert producer.flush(10) == 0
    return ScalingRecord(Scale(max=4), access, f"{name}.group", (f"{name}.a", f"{name}.b"))


def counted(calls: list[str], name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any, **options: Any) -> Any:
        calls.append(name)
        return call(*arguments, **options)

    return run


def commit(group: ScalingRecord, offsets: Mapping[tuple[str, int], int]) -> None:
    consumer = Consumer({"bootstrap.servers": group.access.servers, "group.id": group.group})
    targets = [TopicPartition(*place, offset) for place, offset in offsets.items()]
    consumer.commit(offsets=targets, asynchronous=False)
    consumer.close()


async def observe(lag: KafkaLag, *groups: ScalingRecord) -> Mapping[ScalingRecord, GroupOffsets]:
    """What is seen once the broker has settled who coordinates the groups."""
    deadline = time.monotonic() + 30
    while True:
        seen = await lag.observe(groups)
        if set(seen) == set(groups):
            return seen
        assert time.monotonic() < deadline, f"seen of {groups}: {seen}"


async def test_start_end_and_commit_of_all_partitions_are_seen(
    lag: KafkaLag, group: ScalingRecord
) -> None:
    a, b = group.topics
    before = (await observe(lag, group))[group]
    assert before.partitions == {
        (a, 0): PartitionOffsets(0, 0),
        (a, 1): PartitionOffsets(0, 3),
        (b, 0): PartitionOffsets(0, 0),
        (b, 1): PartitionOffsets(0, 0),
    }
    assert not before.committed
    commit(group, {(a, 1): 2})
    after = (await observe(lag, group))[group]
    assert after.partitions[a, 1] == PartitionOffsets(0, 3, committed=2)
    assert after.lag == 1


async def test_a_group_with_a_topic_that_does_not_exist_is_left_out(
    lag: KafkaLag, group: ScalingRecord
) -> None:
    lost = ScalingRecord(group.scale, group.access, "lost", (*group.topics, "team.none"))
    await observe(lag, group)
    assert set(await lag.observe([group, lost])) == {group}


async def test_groups_of_one_cluster_share_the_calls(
    admin: KafkaAdmin, lag: KafkaLag, group: ScalingRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [ScalingRecord(group.scale, group.access, f"g{n}", group.topics) for n in range(5)]
    await observe(lag, group, *others)
    client = (await admin.cluster(group.access)).admin
    calls: list[str] = []
    for name in ("describe_topics", "list_offsets"):
        monkeypatch.setattr(client, name, counted(calls, name, getattr(client, name)))
    assert len(await lag.observe([group, *others])) == 6
    assert calls == ["describe_topics", "list_offsets", "list_offsets"]


async def test_a_cluster_that_is_away_is_left_alone_for_a_while(
    admin: KafkaAdmin,
    security: KafkaSecurity,
    group: ScalingRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await observe(KafkaLag(admin, security), group)
    monkeypatch.setattr("eventpipeline_operator.adapters.kafka_lag.CALL_SECONDS", 0.5)
    now = 0.0
    access = KafkaAccess(f"127.0.0.1:{free_port()}", "team")
    away = ScalingRecord(group.scale, access, "away", group.topics)
    lag = KafkaLag(admin, security, clock=lambda: now)
    assert set(await lag.observe([group, away])) == {group}
    (paused,) = lag._paused
    assert paused is await admin.cluster(access)
    assert set(await lag.observe([group, away])) == {group}
    now = PAUSE_SECONDS + 1
    await lag.observe([group])
    assert lag._paused == {}
