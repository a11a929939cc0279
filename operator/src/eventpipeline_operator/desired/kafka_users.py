"""The graph of a pipeline → who its workloads are to Kafka, and what each may do there.

A workload that produces or consumes has a user of its own; no other workload has one.
"""

from collections.abc import Collection, Iterator

from eventpipeline_operator.api import names
from eventpipeline_operator.api.observed import Acl
from eventpipeline_operator.api.types import (
    Container,
    EventPipeline,
    KafkaClient,
    SaslMechanism,
    Service,
    Topic,
)
from eventpipeline_operator.api.validation import containers
from eventpipeline_operator.desired.records import KafkaUserRecord, SecretRecord, SecretReference
from eventpipeline_operator.desired.secrets import fingerprint, revise

USERNAME, PASSWORD = "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"
ITERATIONS = 4096
"""The least that Kafka takes: they slow down guessing, and nobody guesses a random password."""

TOPIC, GROUP, TRANSACTIONS = "topic", "group", "transactional_id"
READ, WRITE, DESCRIBE = "read", "write", "describe"


def build_kafka_users(
    pipeline: EventPipeline,
    topics_apart: Collection[str] = (),
    groups_apart: Collection[str] = (),
) -> tuple[KafkaUserRecord, ...]:
    """One user for each workload with an edge; nothing on topics and groups that are not its own.

    `topics_apart` and `groups_apart` are Kafka names that the pipeline names and may not have.
    """
    records = []
    for service in pipeline.services:
        letters = frozenset(_letters(pipeline, service, topics_apart))
        for _, worker, container in containers(service):
            name = worker.name if worker else None
            if (worker or service.port) and has_edges(container):
                user = names.kafka_user(pipeline.key, service.name, name)
                acls = frozenset(_edges(pipeline, container, user, topics_apart))
                acls |= frozenset(_topic(user, letter, WRITE) for letter in letters)
                acls |= frozenset(Acl(user, TOPIC, letter, DESCRIBE) for letter in letters)
                acls |= frozenset(_groups(container, user, groups_apart))
                records.append(KafkaUserRecord(user, acls))
    return tuple(records)


def has_edges(container: Container) -> bool:
    """Whether a container has anything to do with Kafka."""
    return bool(container.produces or container.consumes)


def client_of(pipeline: EventPipeline, container: Container) -> KafkaClient | None:
    """How a container speaks to Kafka: as nobody without an edge, where there are users."""
    client = pipeline.kafka_client
    if not pipeline.kafka_users:
        return client
    if not has_edges(container):
        return None
    tls = client is not None and client.tls
    authority = client.ca_secret if client else None
    return KafkaClient(tls, authority, SaslMechanism.SCRAM_SHA_512)


def name_login(pipeline: EventPipeline, user: str, revision: str = "") -> SecretReference:
    """How a delivered login is named."""
    entry = names.user_entry(pipeline.key, user)
    return SecretReference(entry, revision, "", tuple(sorted((USERNAME, PASSWORD))))


def login_source(pipeline: EventPipeline, user: str) -> str:
    """Fingerprint of whose login it is, and where."""
    return fingerprint([pipeline.bootstrap_servers, user])


def build_login(pipeline: EventPipeline, user: str, password: str, key: bytes) -> SecretRecord:
    """Name and password as a workload is told them."""
    entry = names.user_entry(pipeline.key, user)
    env = {USERNAME: user, PASSWORD: password}
    return SecretRecord(
        entry=entry,
        revision=revise(pipeline, entry, env, {}, key),
        source=login_source(pipeline, user),
        version="",
        env=env,
    )


def _letters(pipeline: EventPipeline, service: Service, apart: Collection[str]) -> Iterator[str]:
    """The service's dead-letter topics: any of its workloads may be the one that writes them."""
    by_name = {topic.name: topic for topic in pipeline.topics}
    for _, _, container in containers(service):
        for entry in container.consumes:
            letters = names.dead_letter_name(pipeline.key, by_name[entry], service.name)
            if not {names.kafka_name(pipeline.key, by_name[entry]), letters} & set(apart):
                yield letters


def _edges(
    pipeline: EventPipeline, container: Container, user: str, apart: Collection[str]
) -> Iterator[Acl]:
    by_name: dict[str, Topic] = {topic.name: topic for topic in pipeline.topics}
    for entries, operation in ((container.produces, WRITE), (container.consumes, READ)):
        for entry in entries:
            name = names.kafka_name(pipeline.key, by_name[entry])
            if name not in apart:
                yield _topic(user, name, operation)
                yield Acl(user, TOPIC, name, DESCRIBE)
    if container.produces:  # who writes in transactions names them after himself
        yield Acl(user, TRANSACTIONS, f"{user}.", WRITE, prefixed=True)
        yield Acl(user, TRANSACTIONS, f"{user}.", DESCRIBE, prefixed=True)


def _groups(container: Container, user: str, apart: Collection[str]) -> Iterator[Acl]:
    """Its group, and those that it derives from it, for example to read a topic once more."""
    group = container.consumer_group or user
    if container.consumes and group not in apart:
        yield Acl(user, GROUP, group, READ)
        yield Acl(user, GROUP, f"{group}.", READ, prefixed=True)


def _topic(user: str, name: str, operation: str) -> Acl:
    return Acl(user, TOPIC, name, operation)
