"""`dlq` and `replay` against a real Kafka, for an object of a real API server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from servers.command_line import CommandLine
from servers.kafka import KafkaServer
from servers.kubernetes_cluster import Cluster
from servers.waiting import wait_for

Json = dict[str, Any]
ADDRESS = "ada@example.com"
VALUE = json.dumps({"order": {"email": ADDRESS, "quantity": 3}}).encode()


@pytest.fixture
def prefix(shop: Json, cluster: Cluster) -> str:
    """Of the topics' names; they exist."""
    cluster.wait_for_condition("TopicsReady", "True", "TopicsInSync")
    return f"{shop['metadata']['namespace']}.shop"


def publish(kafka: KafkaServer, topic: str, headers: dict[str, str], partition: int = 0) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    carried: list[tuple[str, str | bytes | None]] = [(k, v.encode()) for k, v in headers.items()]
    producer.produce(topic, VALUE, b"order-7", partition=partition, headers=carried)
    assert producer.flush(10) == 0


@pytest.fixture
def letters(kafka: KafkaServer, prefix: str) -> list[str]:
    """Ids of two dead letters, the second too large to be carried whole."""
    mark = {"ce_type": "OrderPlaced", "dlq_group": "g", "trace": "t"}
    first = {"dlq_cause": f"no such customer {ADDRESS}", "dlq_origin": f"{prefix}.orders/1/42"}
    second = {"dlq_cause": "too long", "dlq_origin": f"{prefix}.orders/0/43"}
    publish(kafka, f"{prefix}.orders.order.dlq", {**mark, **first})
    publish(kafka, f"{prefix}.orders.order.dlq", {**mark, **second, "dlq_shortened_from": "9"})
    return ["orders.order/0/0", "orders.order/0/1"]


def test_dead_letters_are_listed_with_their_cause_and_without_addresses(
    letters: list[str], command_line: CommandLine
) -> None:
    done = command_line.run("dlq", "list", "shop", "-o", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [letter["id"] for letter in found] == letters
    assert found[0]["cause"] == "no such customer [masked]"
    chosen = command_line.run("dlq", "list", "shop", "--cause", "too LONG").stdout
    assert letters[1] in chosen
    assert letters[0] not in chosen
    assert (
        "no dead letters"
        in command_line.run("dlq", "list", "shop", "--cause", "nothing like it").stdout
    )


def test_a_letter_shows_its_shape_and_its_content_only_when_asked(
    letters: list[str], command_line: CommandLine
) -> None:
    masked = command_line.run("dlq", "show", "shop", letters[0])
    assert masked.returncode == 0, masked.stderr
    assert "email: '[masked]'" in masked.stdout
    assert ADDRESS not in masked.stdout
    assert "order-7" not in masked.stdout
    revealed = command_line.run("dlq", "show", "shop", letters[0], "--reveal", "-o", "json")
    assert json.loads(revealed.stdout)["value"]["order"] == {"email": ADDRESS, "quantity": 3}
    absent = command_line.run("dlq", "show", "shop", "orders.order/0/9")
    assert "there is no dead letter" in absent.stderr


def test_a_letter_goes_back_to_its_partition_as_it_was(
    letters: list[str], kafka: KafkaServer, prefix: str, command_line: CommandLine
) -> None:
    assert "say which" in command_line.run("dlq", "redrive", "shop").stderr
    done = command_line.run("dlq", "redrive", "shop", "--all", "--yes")
    assert (done.returncode, done.stdout) == (0, "1 sent\n"), done.stderr
    assert letters[1] in done.stderr
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": "look"})
    consumer.assign([TopicPartition(f"{prefix}.orders", 1, 0)])
    message = wait_for("the record", lambda: consumer.poll(0.2))
    consumer.close()
    assert message is not None
    assert (message.key(), message.value()) == (b"order-7", VALUE)
    assert dict(message.headers() or []) == {"ce_type": b"OrderPlaced", "trace": b"t"}


@pytest.fixture
def member(kafka: KafkaServer, prefix: str) -> Iterator[Consumer]:
    """The worker's group, with one member that has read three records."""
    for _ in range(3):
        publish(kafka, f"{prefix}.orders", {})
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": f"{prefix}.order.consumer",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([f"{prefix}.orders"])
    for _ in range(3):
        wait_for("a record", lambda: consumer.poll(0.2))
    consumer.commit(asynchronous=False)
    yield consumer
    consumer.close()


def test_a_group_is_moved_only_while_nobody_is_in_it(
    member: Consumer, kafka: KafkaServer, prefix: str, command_line: CommandLine
) -> None:
    replay = ("replay", "shop", "order/consumer", "--to", "earliest", "--yes")
    refused = command_line.run(*replay)
    assert refused.returncode == 1
    assert f"group {prefix}.order.consumer has 1 member" in refused.stderr
    assert "set replicas of order/consumer to 0" in refused.stderr

    member.close()
    tried = command_line.run(*replay, "--dry-run", "-o", "json")
    moves = json.loads(tried.stdout)["moves"]
    assert {"topic": f"{prefix}.orders", "partition": 0, "from": 3, "to": 0} in moves
    assert committed(kafka, prefix) == 3
    done = command_line.run(*replay)
    assert done.returncode == 0, done.stderr
    assert committed(kafka, prefix) == 0
    assert "──▶ order/consumer  lag 3" in command_line.run("graph", "shop").stdout
    assert "stands there already" in command_line.run(*replay).stdout
    assert command_line.run(*replay[:-2], "2999-01-01T00:00:00Z", "--yes").returncode == 0
    assert committed(kafka, prefix) == 3


def committed(kafka: KafkaServer, prefix: str) -> int:
    group = f"{prefix}.order.consumer"
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": group})
    (place,) = consumer.committed([TopicPartition(f"{prefix}.orders", 0)], timeout=10)
    consumer.close()
    offset: int = place.offset
    return offset


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ("order/courier", "no worker order/courier; there are order/consumer"),
        ("page", "page does not consume anything"),
    ],
)
def test_a_worker_that_is_not_there_or_reads_nothing_is_told(
    shop: Json, command_line: CommandLine, worker: str, words: str
) -> None:
    assert shop
    done = command_line.run("replay", "shop", worker, "--to", "latest")
    assert done.returncode == 1
    assert words in done.stderr


def test_a_point_must_be_a_point(command_line: CommandLine) -> None:
    done = command_line.run("replay", "shop", "order/consumer", "--to", "yesterday")
    assert done.returncode == 2
    assert "a moment like 2026-01-31T12:00:00Z" in done.stderr
