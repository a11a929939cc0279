"""Kafka down when an object comes, while its topics are made, and at rest."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from servers.kafka import KafkaServer
from servers.kubernetes_cluster import Cluster, build_shop
from servers.kubernetes_operator import OperatorProcess
from servers.vault import VaultServer
from servers.waiting import wait_for

pytestmark = pytest.mark.long  # each takes more than a minute

Json = dict[str, Any]
MANY = 400


@pytest.fixture(scope="module")
def kafka(own_kafka: KafkaServer) -> KafkaServer:
    return own_kafka


@pytest.fixture(autouse=True)
def running(kafka: KafkaServer, operator: OperatorProcess) -> Iterator[None]:
    assert operator
    yield
    if kafka.pid is None:
        kafka.start()


def topics_of(kafka: KafkaServer, cluster: Cluster) -> set[str]:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    found = admin.list_topics(timeout=10).topics
    return {name for name in found if name.startswith(f"{cluster.namespace}.")}


def test_an_object_that_comes_while_kafka_is_down_waits_for_it(
    kafka: KafkaServer, vault: VaultServer, cluster: Cluster
) -> None:
    name = cluster.namespace
    cluster.run("create", "serviceaccount", "shop-vault")
    vault.write(name, USER="ada", PASSWORD="p@ss/word")
    vault.allow(name, name, "shop-vault", name)
    kafka.stop(kill=True)
    cluster.apply(build_shop(name, kafka, vault))
    said = cluster.wait_for_condition("TopicsReady", "False", "KafkaUnavailable")
    assert kafka.bootstrap_servers in said["message"]
    assert cluster.names("deployments") == set()
    assert not any(secret.startswith("shop-db-") for secret in cluster.names("secrets"))
    kafka.start()
    wait_for("the topics", lambda: cluster.condition("TopicsReady").get("status") == "True",
             seconds=90)  # fmt: skip
    cluster.wait_for_condition("WorkloadsReady", "False", "MigrationRunning")
    prefix = f"{name}.shop.orders"
    assert topics_of(kafka, cluster) == {prefix, f"{prefix}.order.dlq"}


def test_a_broker_that_dies_in_the_middle_of_a_batch_leaves_neither_gaps_nor_doubles(
    kafka: KafkaServer, cluster: Cluster, operator: OperatorProcess
) -> None:
    topics = [{"name": f"t{number}", "partitions": 1} for number in range(MANY)]
    manifest = {
        "apiVersion": "eventpipeline.dev/v1alpha1",
        "kind": "EventPipeline",
        "metadata": {"name": "many"},
        "spec": {"kafka": {"bootstrapServers": kafka.bootstrap_servers}, "topics": topics},
    }
    calls = operator.metric("kafka_calls_total", call="create_topics") or 0
    already = operator.log.count("creating topics")
    cluster.apply(manifest)
    wait_for("the batch to begin", lambda: operator.log.count("creating topics") > already,
             interval=0.002)  # fmt: skip
    kafka.stop(kill=True)
    wait_for("the call to end", lambda: operator.metric("kafka_calls_total", call="create_topics")
             != calls, seconds=60)  # fmt: skip
    kafka.start()

    def ready() -> bool:
        status = cluster.get("eventpipeline", "many").get("status", {})
        return bool((status.get("topics") or {}).get("summary") == f"{MANY}/{MANY}")

    wait_for("all topics", ready, seconds=120)
    assert len(topics_of(kafka, cluster)) == MANY
    items = cluster.get("eventpipeline", "many")["status"]["topics"]["items"]
    assert len({item["id"] for item in items}) == MANY
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    described = admin.list_topics(timeout=10).topics
    assert all(len(described[item["topicName"]].partitions) == 1 for item in items)


@pytest.mark.parametrize(
    "seconds", [10, pytest.param(60, marks=pytest.mark.long)], ids=["ten seconds", "a minute"]
)
def test_an_outage_at_rest_shows_and_changes_nothing(
    resting_shop: Json, kafka: KafkaServer, cluster: Cluster, operator: OperatorProcess,
    seconds: int,
) -> None:  # fmt: skip
    assert resting_shop
    before, topics = cluster.versions(), cluster.get("eventpipeline", "shop")["status"]["topics"]
    kafka.stop(kill=True)
    cluster.wait_for_condition("TopicsReady", "False", "KafkaUnavailable")
    cluster.wait_until_told("TopicsReady", "False", operator)
    writes, end = operator.writes(), time.monotonic() + seconds
    wait_for("time to pass", lambda: time.monotonic() > end, seconds=seconds + 5)
    assert operator.writes() == writes
    assert cluster.condition("WorkloadsReady")["status"] == "True"
    kafka.start()
    wait_for("the condition", lambda: cluster.condition("Ready").get("status") == "True",
             seconds=90)  # fmt: skip
    after = cluster.versions()
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert {name.split("/")[0] for name in changed} <= {"EventPipeline", "Event"}
    assert cluster.get("eventpipeline", "shop")["status"]["topics"]["items"] == topics["items"]
