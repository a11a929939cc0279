"""`dlq` and `replay` against a real Kafka that demands TLS and a SCRAM login: the object's."""

import json
from typing import Any

import pytest
from confluent_kafka import Producer

from servers.certificate import Certificate
from servers.command_line import CommandLine
from servers.kafka import ADMIN, ADMIN_PASSWORD, KafkaServer
from servers.kubernetes_cluster import Cluster
from servers.kubernetes_operator import OperatorProcess

Json = dict[str, Any]


@pytest.fixture
def prefix(
    cluster: Cluster, guarded: KafkaServer, certificate: Certificate, operator: OperatorProcess
) -> str:
    """Of the topics' names: an object whose client is the broker's administrator made them."""
    assert operator
    cluster.run("create", "secret", "generic", "ca", f"--from-file={certificate.authority}")
    write_login(cluster, ADMIN_PASSWORD)
    login = {"mechanism": "SCRAM-SHA-512", "secret": "login"}
    worker = {"name": "consumer", "replicas": 0, "consumes": ["orders"]}
    cluster.apply(
        {
            "apiVersion": "eventpipeline.dev/v1alpha1",
            "kind": "EventPipeline",
            "metadata": {"name": "shop", "namespace": cluster.namespace},
            "spec": {
                "kafka": {
                    "bootstrapServers": guarded.secure_servers,
                    "client": {"tls": {"caSecret": "ca"}, "sasl": login},
                },
                "topics": [{"name": "orders"}],
                "services": [{"name": "order", "image": "order:1", "workers": [worker]}],
            },
        }
    )
    cluster.wait_for_condition("TopicsReady", "True", "TopicsInSync")
    return f"{cluster.namespace}.shop"


def write_login(cluster: Cluster, password: str) -> None:
    cluster.run("delete", "secret", "login", "--ignore-not-found")
    cluster.run(
        *("create", "secret", "generic", "login"),
        *(f"--from-literal=username={ADMIN}", f"--from-literal=password={password}"),
    )


def publish(guarded: KafkaServer, topic: str, **headers: str) -> None:
    producer = Producer({"bootstrap.servers": guarded.bootstrap_servers})
    carried: list[tuple[str, str | bytes | None]] = [(k, v.encode()) for k, v in headers.items()]
    producer.produce(topic, b"{}", partition=0, headers=carried)
    assert producer.flush(10) == 0


def test_dead_letters_are_listed_and_sent_back_under_the_objects_login(
    prefix: str, guarded: KafkaServer, command_line: CommandLine
) -> None:
    origin = f"{prefix}.orders/0/42"
    publish(guarded, f"{prefix}.orders.order.dlq", dlq_cause="too late", dlq_origin=origin)
    listed = command_line.run("dlq", "list", "shop", "-o", "json")
    assert listed.returncode == 0, listed.stderr
    assert [letter["cause"] for letter in json.loads(listed.stdout)] == ["too late"]
    sent = command_line.run("dlq", "redrive", "shop", "--all", "--yes")
    assert (sent.returncode, sent.stdout) == (0, "1 sent\n"), sent.stderr


def test_a_group_is_moved_under_the_objects_login(
    prefix: str, guarded: KafkaServer, command_line: CommandLine
) -> None:
    publish(guarded, f"{prefix}.orders")
    replay = ("replay", "shop", "order/consumer", "--yes", "-o", "json", "--to")
    moved = command_line.run(*replay, "latest")
    assert moved.returncode == 0, moved.stderr
    back = command_line.run(*replay, "earliest")
    moves = json.loads(back.stdout)["moves"]
    assert moves == [{"topic": f"{prefix}.orders", "partition": 0, "from": 1, "to": 0}]


@pytest.mark.parametrize(
    "command", [("dlq", "list", "shop"), ("replay", "shop", "order/consumer", "--to", "latest")]
)
def test_a_login_that_the_broker_refuses_is_told_as_that(
    prefix: str, cluster: Cluster, command_line: CommandLine, command: tuple[str, ...]
) -> None:
    assert prefix
    write_login(cluster, "not-this-one")
    refused = command_line.run(*command)
    assert refused.returncode == 1
    assert "lets nobody in so" in refused.stderr
    assert "spec.kafka.client and its Secrets" in refused.stderr
    assert "not-this-one" not in refused.stderr
