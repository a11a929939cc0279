"""Topics between namespaces, and two objects that claim one: the operator's process decides."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined] # stubs re-export nothing
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from servers.kafka import KafkaServer
from servers.kubernetes import KubernetesServer
from servers.kubernetes_operator import OperatorProcess
from servers.kubernetes_pipelines import Pipelines
from servers.waiting import wait_for

Json = dict[str, Any]


@pytest.fixture
def owners(kubernetes: KubernetesServer, namespace: str, operator: OperatorProcess) -> Pipelines:
    assert operator
    return Pipelines(kubernetes, namespace)


@pytest.fixture
def guests(kubernetes: KubernetesServer) -> Iterator[Pipelines]:
    name = f"guests-{secrets.token_hex(4)}"
    assert kubernetes.kubectl("create", "namespace", name).returncode == 0
    yield Pipelines(kubernetes, name)
    kubernetes.kubectl("-n", name, "delete", "eventpipelines", "--all")


@pytest.fixture
def admin(kafka: KafkaServer) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})


def spec_of(kafka: KafkaServer, *topics: Json) -> Json:
    return {"kafka": {"bootstrapServers": kafka.bootstrap_servers}, "topics": list(topics)}


def external(name: str) -> Json:
    return {"name": "theirs", "external": {"topicName": name}}


def retention(admin: AdminClient, name: str) -> str:
    resource = ConfigResource(ResourceType.TOPIC, name)
    (future,) = admin.describe_configs([resource]).values()
    value: str = future.result(timeout=10)["retention.ms"].value
    return value


def test_a_topic_is_used_as_soon_as_and_as_long_as_it_is_shared(
    owners: Pipelines, guests: Pipelines, kafka: KafkaServer
) -> None:
    name = f"{owners.namespace}.shop.orders"
    owners.apply({"shop": spec_of(kafka, {"name": "orders"})})
    owners.wait_for("shop", "TopicsReady", "True", "TopicsInSync")
    guests.apply({"reader": spec_of(kafka, external(name))})
    said = guests.wait_for("reader", "Stalled", "True", "ExternalTopicDenied")
    assert f"EventPipeline {owners.namespace}/shop list {guests.namespace}" in said
    shared = {"name": "orders", "sharedWith": [guests.namespace]}
    owners.apply({"shop": spec_of(kafka, shared)})
    guests.wait_for("reader", "TopicsReady", "True", "TopicsInSync")
    assert "items" not in guests.get("reader")["status"]["topics"] or (
        guests.get("reader")["status"]["topics"]["items"] == []
    )
    owners.apply({"shop": spec_of(kafka, {"name": "orders"})})
    guests.wait_for("reader", "Stalled", "True", "ExternalTopicDenied")


def test_a_missing_topic_of_others_is_reported_and_not_made(
    owners: Pipelines, kafka: KafkaServer, admin: AdminClient
) -> None:
    name = f"{owners.namespace}.elsewhere"
    owners.apply({"reader": spec_of(kafka, external(name))})
    said = owners.wait_for("reader", "TopicsReady", "False", "ExternalTopicMissing")
    assert f"spec.topics[theirs].external: the topic {name} does not exist: create it" in said
    assert name not in admin.list_topics(timeout=10).topics


def test_an_external_topic_is_left_as_it_is_also_when_its_user_goes(
    owners: Pipelines, kafka: KafkaServer, admin: AdminClient
) -> None:
    name = f"{owners.namespace}.elsewhere"
    (made,) = admin.create_topics(
        [NewTopic(name, num_partitions=3, config={"retention.ms": "777"})]
    ).values()
    made.result(timeout=10)
    owners.apply({"reader": spec_of(kafka, external(name))})
    owners.wait_for("reader", "TopicsReady", "True", "TopicsInSync")
    owners.delete("reader")
    owners.wait_until_gone("reader")
    assert len(admin.list_topics(timeout=10).topics[name].partitions) == 3
    assert retention(admin, name) == "777"


def test_after_a_start_no_pass_precedes_an_older_claim(
    owners: Pipelines, kafka: KafkaServer, admin: AdminClient, operator: OperatorProcess
) -> None:
    """The younger objects are listed first, and their passes would come first."""
    names = [f"{owners.namespace}.shared-{number}" for number in range(20)]
    operator.stop()
    for prefix, kept in (("z", "111"), ("a", "999")):
        owners.apply(
            {
                f"{prefix}{number}": spec_of(
                    kafka, {"name": "t", "topicName": name, "config": {"retention.ms": kept}}
                )
                for number, name in enumerate(names)
            }
        )
    ages = {
        o["metadata"]["name"]: (o["metadata"]["creationTimestamp"], o["metadata"]["uid"])
        for o in owners.all()
    }
    operator.start()
    operator.wait_until_leading()
    wait_for("a verdict on every object", lambda: judged(owners) == ages.keys())
    older_is_z = [ages[f"z{number}"] < ages[f"a{number}"] for number in range(20)]
    found = [retention(admin, name) for name in names]
    assert found == ["111" if first else "999" for first in older_is_z]
    assert operator.metric("kafka_calls_total", call="alter_configs") is None


def judged(pipelines: Pipelines) -> set[str]:
    """Names of the objects whose topics are in sync or in conflict."""
    final = ("TopicsInSync", "TopicConflict")
    return {
        o["metadata"]["name"]
        for o in pipelines.all()
        for c in o.get("status", {}).get("conditions", [])
        if c["type"] == "TopicsReady" and c["reason"] in final
    }
