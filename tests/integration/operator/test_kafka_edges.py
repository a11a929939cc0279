"""Users and ACLs that follow the graph, against a broker that enforces them.

What the object says works with the derived users; each edge that it does not say is refused.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from contracts.broker import Listener
from eventbus.config import KafkaConfig
from eventbus.history import KafkaHistory
from eventbus.kafka_consumer import KafkaConsumer
from eventpipeline_operator.adapters.kafka_users import KafkaUserAdmin
from eventpipeline_operator.api.names import topic_prefix
from eventpipeline_operator.api.observed import TopicsObservation
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.desired.kafka_users import PASSWORD, USERNAME
from eventpipeline_operator.desired.records import SecretRecord
from eventpipeline_operator.desired.topics import build_topics
from eventpipeline_operator.policies.grants import Grants
from eventpipeline_operator.reconcile.users import Users
from integration.operator.kafka_logins import Login, build_users
from servers.certificate import Certificate
from servers.kafka import ADMIN, ADMIN_PASSWORD, KafkaServer
from servers.waiting import wait_for
from unit.operator.bodies import build_pipeline, build_spec
from unit.operator.fakes import World

SECONDS = 10


class Pipeline:
    """The usual object with users, in a namespace of its own, and clients of its workloads."""

    def __init__(self, server: KafkaServer, certificate: Certificate) -> None:
        self._server = server
        self._certificate = certificate
        self.world = World()
        self.spec = build_spec()
        client = {"tls": {"caSecret": "ca"}, "sasl": {"mechanism": "SCRAM-SHA-512",
                                                      "secret": "login"}}  # fmt: skip
        self.spec["kafka"] = {
            "bootstrapServers": server.secure_servers, "client": client, "users": {}
        }  # fmt: skip
        self.namespace = f"team-{secrets.token_hex(4)}"

    @property
    def object(self) -> EventPipeline:
        return build_pipeline(self.spec, namespace=self.namespace)

    def name(self, tail: str) -> str:
        return f"{topic_prefix(self.object.key)}{tail}"

    async def reconcile(self, kafka: KafkaUserAdmin) -> None:
        """As a pass does it."""
        users = Users(kafka, self.world.runtime, self.world.secrets, Grants(), b"key")
        found, _ = await users.reconcile(self.object, TopicsObservation(verified=True))
        assert found
        assert found.problems == ()

    def config(self, worker: str) -> KafkaConfig:
        """As a service reads its environment."""
        user = self.name(f"order.{worker}")
        login = next(
            held.env
            for held in self.world.runtime.applied.values()
            if isinstance(held, SecretRecord) and held.env[USERNAME] == user
        )
        return KafkaConfig.from_env(
            {
                "KAFKA_BOOTSTRAP_SERVERS": self._server.secure_servers,
                "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
                "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
                "KAFKA_SSL_CA_LOCATION": str(self._certificate.authority),
                USERNAME: login[USERNAME],
                PASSWORD: login[PASSWORD],
            }
        )


@pytest.fixture(scope="module")
def pipeline(guarded: KafkaServer, certificate: Certificate) -> Pipeline:
    """The object's topics and users as they should be, and a topic of somebody else."""
    found = Pipeline(guarded, certificate)
    admin = AdminClient({"bootstrap.servers": guarded.bootstrap_servers, "log_level": 0})
    names = [r.name for r in build_topics(found.object)] + [f"{found.namespace}.payroll"]
    for made in admin.create_topics([NewTopic(n, 1, 1) for n in names]).values():
        made.result()
    asyncio.run(found.reconcile(build_users(Login(certificate, ADMIN, ADMIN_PASSWORD))))
    return found


def write(config: KafkaConfig, topic: str) -> str | None:
    """The broker's refusal, None when it has taken a record of the usual producer."""
    refusals: list[KafkaError | None] = []
    producer = Producer({**config.producer(), "log_level": 0})
    producer.produce(topic, b"x", on_delivery=lambda error, _: refusals.append(error))
    wait_for("a delivery report", lambda: producer.poll(0.1) or refusals, seconds=SECONDS)
    return refusals[0].name() if refusals[0] else None


def read(config: KafkaConfig, topic: str, group: str) -> str | None:
    """The broker's refusal of the usual consumer, None when it has a record."""
    consumer = Consumer({**config.consumer(group), "log_level": 0})
    consumer.subscribe([topic])
    try:
        message = wait_for("a message", lambda: consumer.poll(0.2), seconds=SECONDS)
    except KafkaException as error:
        return str(error.args[0].name())
    finally:
        consumer.close()
    refused = message.error() if message else None
    return refused.name() if refused else None


def fetch(config: KafkaConfig, topic: str) -> str | None:
    """The broker's refusal of a consumer that joins no group."""
    consumer = Consumer({**config.consumer("none"), "log_level": 0})
    told = consumer.list_topics(topic, SECONDS).topics[topic].error
    if told:
        return str(told.name())
    consumer.assign([TopicPartition(topic, 0, 0)])

    def answer() -> str | None:
        """What is said of the topic: of a group nothing is wanted."""
        message = consumer.poll(0.2)
        refused = message.error() if message else None
        if message is None or (refused and refused.name() == "GROUP_AUTHORIZATION_FAILED"):
            return None
        return refused.name() if refused else "a record"

    try:
        return wait_for("an answer", answer, seconds=SECONDS)
    finally:
        consumer.close()


def test_a_producer_writes_what_it_declares(pipeline: Pipeline) -> None:
    assert write(pipeline.config("relay"), pipeline.name("orders")) is None


def test_a_services_relay_writes_its_dead_letters(pipeline: Pipeline) -> None:
    topic = pipeline.name("stock-events.order.dlq")
    assert write(pipeline.config("relay"), topic) is None
    assert write(pipeline.config("consumer"), topic) is None


@pytest.mark.parametrize("tail", ["", ".rebuild.1"])
def test_a_consumer_reads_what_it_declares_also_in_a_group_derived_from_its_own(
    pipeline: Pipeline, guarded: KafkaServer, tail: str
) -> None:
    topic = pipeline.name("stock-events")
    assert write(KafkaConfig(guarded.bootstrap_servers), topic) is None
    group = pipeline.name(f"order.consumer{tail}")
    assert read(pipeline.config("consumer"), topic, group) is None


def test_a_consumer_of_the_shops_kind_learns_of_topic_ids_and_beginnings(
    pipeline: Pipeline, guarded: KafkaServer
) -> None:
    topic = pipeline.name("stock-events")
    assert write(KafkaConfig(guarded.bootstrap_servers), topic) is None
    history = KafkaHistory(pipeline.config("consumer"), topic)
    assert history.begins_at() == 0
    consumer = KafkaConsumer(pipeline.config("consumer"), pipeline.name("order.consumer"))
    consumer.subscribe([topic], Listener())
    try:
        records = wait_for("a record", lambda: consumer.poll(0.5, 10), seconds=SECONDS)
    finally:
        consumer.close()
    (partition,) = history.partitions()
    assert {(r.topic, r.partition) for r in records} == {(topic, partition.number)}


def test_a_producer_may_write_in_transactions_of_its_own_name(pipeline: Pipeline) -> None:
    def begin(name: str) -> None:
        options = {**pipeline.config("relay").producer(), "log_level": 0}
        producer = Producer({**options, "transactional.id": name})
        producer.init_transactions(SECONDS)

    begin(pipeline.name("order.relay.1"))
    with pytest.raises(KafkaException, match="Transactional Id authorization failed"):
        begin(pipeline.name("order.consumer.1"))


@pytest.mark.parametrize(
    ("worker", "topic"),
    [
        ("consumer", "{prefix}stock-events"),
        ("consumer", "{prefix}orders"),
        ("relay", "{prefix}stock-events"),
        ("relay", "{namespace}.payroll"),
        ("relay", "{prefix}never-declared"),
    ],
    ids=["only consumed", "another's", "another's of its service", "foreign", "not there"],
)
def test_a_topic_that_is_not_declared_as_produced_is_not_written(
    pipeline: Pipeline, worker: str, topic: str
) -> None:
    name = topic.format(prefix=pipeline.name(""), namespace=pipeline.namespace)
    assert write(pipeline.config(worker), name) == "TOPIC_AUTHORIZATION_FAILED"


@pytest.mark.parametrize(
    ("worker", "topic"),
    [
        ("relay", "{prefix}orders"),
        ("consumer", "{prefix}orders"),
        ("consumer", "{namespace}.payroll"),
        ("consumer", "{prefix}stock-events.order.dlq"),
    ],
    ids=["only produced", "another's", "foreign", "its dead letters"],
)
def test_a_topic_that_is_not_declared_as_consumed_is_not_read(
    pipeline: Pipeline, worker: str, topic: str
) -> None:
    name = topic.format(prefix=pipeline.name(""), namespace=pipeline.namespace)
    assert fetch(pipeline.config(worker), name) == "TOPIC_AUTHORIZATION_FAILED"


@pytest.mark.parametrize("group", ["{prefix}order.relay", "{namespace}.payroll", "console"])
def test_a_group_that_is_not_its_own_is_not_joined(pipeline: Pipeline, group: str) -> None:
    name = group.format(prefix=pipeline.name(""), namespace=pipeline.namespace)
    refusal = read(pipeline.config("consumer"), pipeline.name("stock-events"), name)
    assert refusal == "GROUP_AUTHORIZATION_FAILED"


CHANGES: dict[str, Callable[[AdminClient, Pipeline], Any]] = {
    "create topics": lambda a, p: a.create_topics([NewTopic(p.name("mine"), 1, 1)]),
    "delete topics": lambda a, p: a.delete_topics([p.name("orders")]),
    "delete groups": lambda a, p: a.delete_consumer_groups([p.name("order.consumer")]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_workload_cannot(pipeline: Pipeline, change: str) -> None:
    client = AdminClient({**pipeline.config("consumer").admin(), "log_level": 0})
    (answer,) = CHANGES[change](client, pipeline).values()
    with pytest.raises(KafkaException) as refused:
        answer.result(SECONDS)
    assert "AUTHORIZATION_FAILED" in refused.value.args[0].name()


async def test_at_rest_nothing_is_written(pipeline: Pipeline, certificate: Certificate) -> None:
    before, calls = list(pipeline.world.runtime.log), list[str]()
    login = Login(certificate, ADMIN, ADMIN_PASSWORD)
    await pipeline.reconcile(build_users(login, lambda: calls.append("written")))
    assert (calls, pipeline.world.runtime.log) == ([], before)
