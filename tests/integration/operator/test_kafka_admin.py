"""The Kafka adapter against a real broker."""

import asyncio
import secrets
import time

import pytest

from eventpipeline_operator.adapters.kafka import KafkaAdmin
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity
from eventpipeline_operator.adapters.metrics import KAFKA_CALLS
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import KafkaAccess
from eventpipeline_operator.desired.records import TopicRecord
from eventpipeline_operator.errors import Retryable
from servers.kafka import KafkaServer
from servers.local import free_port


@pytest.fixture
def prefix() -> str:
    return f"team.{secrets.token_hex(4)}"


def calls(name: str) -> float:
    counters = [KAFKA_CALLS.labels(call=name, outcome=o) for o in ("ok", "failed")]
    return float(sum(counter._value.get() for counter in counters))


async def no_secrets(namespace: str, name: str) -> dict[str, str]:
    raise AssertionError((namespace, name))


@pytest.fixture
def admin() -> KafkaAdmin:
    return KafkaAdmin(KafkaSecurity(no_secrets, "", {}))


async def test_a_created_topic_is_described_with_its_explicit_config_alone(
    kafka: KafkaServer, admin: KafkaAdmin, prefix: str
) -> None:
    servers, name = KafkaAccess(kafka.bootstrap_servers), f"{prefix}.orders"
    record = TopicRecord("orders", name, partitions=3, config={"retention.ms": "-1"})
    assert await admin.create(servers, [record]) == {}
    found = (await admin.describe(servers, [name, f"{prefix}.none"], [name]))[name]
    assert (found.partitions, found.replication_factor) == (3, 1)
    assert found.config == {"retention.ms": "-1"}
    assert found.replicas == ((1,), (1,), (1,))
    assert await admin.brokers(servers) == [1]
    assert found.id


async def test_creating_again_is_no_refusal(
    kafka: KafkaServer, admin: KafkaAdmin, prefix: str
) -> None:
    record = TopicRecord("a", f"{prefix}.a")
    assert await admin.create(KafkaAccess(kafka.bootstrap_servers), [record]) == {}
    assert await admin.create(KafkaAccess(kafka.bootstrap_servers), [record]) == {}


async def test_partitions_grow(kafka: KafkaServer, admin: KafkaAdmin, prefix: str) -> None:
    servers, name = KafkaAccess(kafka.bootstrap_servers), f"{prefix}.a"
    await admin.create(servers, [TopicRecord("a", name)])
    assert await admin.grow(servers, {name: 4}) == {}
    deadline = time.monotonic() + 10
    while (await admin.describe(servers, [name], []))[name].partitions != 4:
        assert time.monotonic() < deadline


async def test_keys_are_set_and_taken_back(
    kafka: KafkaServer, admin: KafkaAdmin, prefix: str
) -> None:
    servers, name = KafkaAccess(kafka.bootstrap_servers), f"{prefix}.a"
    await admin.create(servers, [TopicRecord("a", name, config={"retention.ms": "5000"})])
    change = {"retention.ms": None, "max.message.bytes": "2048"}
    assert await admin.configure(servers, {name: change}) == {}
    deadline = time.monotonic() + 10
    wanted = {"max.message.bytes": "2048"}
    while (await admin.describe(servers, [name], [name]))[name].config != wanted:
        assert time.monotonic() < deadline


async def test_a_refused_topic_is_returned_with_the_brokers_words(
    kafka: KafkaServer, admin: KafkaAdmin, prefix: str
) -> None:
    good, bad = f"{prefix}.good", f"{prefix}.bad"
    records = [
        TopicRecord("good", good),
        TopicRecord("bad", bad, config={"retention.ms": "soon"}),
        TopicRecord("wide", f"{prefix}.wide", replication_factor=3),
    ]
    refused = await admin.create(KafkaAccess(kafka.bootstrap_servers), records)
    assert set(refused) == {bad, f"{prefix}.wide"}
    assert "retention.ms" in refused[bad]
    assert good in await admin.describe(KafkaAccess(kafka.bootstrap_servers), [good], [])


async def test_a_broker_that_is_away_is_a_matter_of_time(admin: KafkaAdmin) -> None:
    servers = f"127.0.0.1:{free_port()}"
    with pytest.raises(Retryable) as raised:
        await admin.describe(KafkaAccess(servers), ["a"], [])
    assert raised.value.reason == Reason.KAFKA_UNAVAILABLE
    assert servers in raised.value.message


async def test_a_thousand_topics_take_one_call(
    kafka: KafkaServer, admin: KafkaAdmin, prefix: str
) -> None:
    records = [TopicRecord(str(n), f"{prefix}.{n}") for n in range(1000)]
    assert await admin.create(KafkaAccess(kafka.bootstrap_servers), records) == {}
    names = [record.name for record in records]
    assert len(await admin.describe(KafkaAccess(kafka.bootstrap_servers), names, [])) == 1000


async def test_topics_of_many_pipelines_are_made_in_few_calls(
    kafka: KafkaServer, admin: KafkaAdmin, prefix: str
) -> None:
    before = calls("create_topics")
    access = KafkaAccess(kafka.bootstrap_servers)
    records = [[TopicRecord(str(n), f"{prefix}.{p}.{n}") for n in range(2)] for p in range(20)]
    refused = await asyncio.gather(*(admin.create(access, each) for each in records))
    assert refused == [{}] * 20
    assert calls("create_topics") - before <= 2


async def test_a_topic_that_is_refused_fails_its_own_pipeline_alone(
    kafka: KafkaServer, admin: KafkaAdmin, prefix: str
) -> None:
    access = KafkaAccess(kafka.bootstrap_servers)
    good = TopicRecord("good", f"{prefix}.good")
    bad = TopicRecord("bad", f"{prefix}.bad", config={"retention.ms": "soon"})
    first, second = await asyncio.gather(admin.create(access, [good]), admin.create(access, [bad]))
    assert first == {}
    assert set(second) == {bad.name}
