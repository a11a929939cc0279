"""Workers scaled by lag: a real broker, a real API server, the operator as a process.

No pod runs: the test commits what consumers would have done, and plays the Deployment controller.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from servers.kafka import KafkaServer
from servers.kubernetes_cluster import Cluster
from servers.kubernetes_operator import OperatorProcess
from servers.waiting import wait_for

Json = dict[str, Any]
PARTITIONS = 3
RECORDS = 3000


class Group:
    """The records of a topic and a group that works on them as far as it is told."""

    def __init__(self, kafka: KafkaServer, topic: str, group: str) -> None:
        self._topic = topic
        self._servers = kafka.bootstrap_servers
        self._consumer = Consumer({"bootstrap.servers": self._servers, "group.id": group})
        self._done = 0

    def produce(self) -> None:
        producer = Producer({"bootstrap.servers": self._servers})
        for partition in range(PARTITIONS):
            for _ in range(RECORDS):
                producer.produce(self._topic, b"x", partition=partition)
        assert producer.flush(30) == 0

    def work(self, records: int) -> None:
        """Commit that many records more of each partition."""
        self._done = min(RECORDS, self._done + records)
        offsets = [TopicPartition(self._topic, n, self._done) for n in range(PARTITIONS)]
        self._consumer.commit(offsets=offsets, asynchronous=False)

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture(scope="module")
def kafka(own_kafka: KafkaServer) -> KafkaServer:
    return own_kafka


@pytest.fixture
def scaled(cluster: Cluster, kafka: KafkaServer, operator: OperatorProcess) -> Json:
    assert operator
    consumer = {
        "name": "consumer",
        "args": ["consume"],
        "consumes": ["orders"],
        "scale": {"min": 1, "max": 6, "drainSeconds": 1},
    }
    spec = {
        "kafka": {"bootstrapServers": kafka.bootstrap_servers},
        "topics": [{"name": "orders", "partitions": PARTITIONS}],
        "services": [{"name": "order", "image": "order:1", "workers": [consumer]}],
    }
    manifest = {
        "apiVersion": "eventpipeline.dev/v1alpha1",
        "kind": "EventPipeline",
        "metadata": {"name": "shop", "namespace": cluster.namespace},
        "spec": spec,
    }
    cluster.apply(manifest)
    wait_for("the Deployment", lambda: cluster.names("deployments"))
    cluster.finish_rollouts()
    cluster.wait_for_condition("Ready", "True", "Succeeded")
    return manifest


@pytest.fixture
def group(scaled: Json, cluster: Cluster, kafka: KafkaServer) -> Iterator[Group]:
    assert scaled
    prefix = f"{cluster.namespace}.shop"
    group = Group(kafka, f"{prefix}.orders", f"{prefix}.order.consumer")
    yield group
    group.close()


def replicas(cluster: Cluster) -> int:
    found: int = cluster.get("deployment", "shop-order-consumer")["spec"]["replicas"]
    return found


def count_retries(operator: OperatorProcess) -> float:
    return operator.metric("reconcile_duration_seconds_count", outcome="retry") or 0


def test_replicas_follow_the_lag_and_stay_while_it_is_not_known(
    group: Group, cluster: Cluster, kafka: KafkaServer, operator: OperatorProcess
) -> None:
    assert replicas(cluster) == 1
    group.produce()

    def grown() -> bool:
        group.work(20)
        return replicas(cluster) == PARTITIONS

    wait_for("as many replicas as partitions", grown, seconds=60)
    cluster.finish_rollouts()
    group.work(RECORDS)
    already = operator.log.count("lag not known")
    kafka.stop(kill=True)
    try:
        cluster.wait_for_condition("TopicsReady", "False", "KafkaUnavailable")
        wait_for("a look that fails", lambda: operator.log.count("lag not known") > already,
                 seconds=60)  # fmt: skip
        # Two passes that wait for an answer in vain take longer than any calm.
        retries = count_retries(operator)
        wait_for("two retries", lambda: count_retries(operator) >= retries + 2, seconds=60)
        assert replicas(cluster) == PARTITIONS
    finally:
        kafka.start()

    def shrunk() -> bool:
        cluster.finish_rollouts()
        return replicas(cluster) == 1

    wait_for("one replica", shrunk, seconds=120)


def test_kubectl_scale_does_not_overrule_the_lag(
    group: Group, cluster: Cluster, operator: OperatorProcess
) -> None:
    assert group
    cluster.run("scale", "deployment", "shop-order-consumer", "--replicas=5")
    wait_for("the operator's number", lambda: replicas(cluster) == 1)
    cluster.finish_rollouts()
    cluster.wait_for_condition("Ready", "True", "Succeeded")
    settled = cluster.get("deployment", "shop-order-consumer")["metadata"]["generation"]
    passes = operator.metric("reconcile_duration_seconds_count") or 0
    wait_for(
        "two passes",
        lambda: (operator.metric("reconcile_duration_seconds_count") or 0) >= passes + 2,
    )
    assert replicas(cluster) == 1
    live = cluster.get("deployment", "shop-order-consumer")
    assert live["metadata"]["generation"] == settled
