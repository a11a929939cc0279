"""deletionPolicy: the operator's process removes topics with their object, or leaves them behind.

No kubelet, no garbage collector and no namespace controller run: a test plays their part.
"""

import json
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from servers.kafka import KafkaServer
from servers.kubernetes import OPERATOR_NAMESPACE, KubernetesServer
from servers.kubernetes_operator import OperatorProcess
from servers.kubernetes_pipelines import Pipelines
from servers.local import free_port
from servers.waiting import wait_for

Json = dict[str, Any]
FINALIZER = "eventpipeline.dev/topics"
MANY = 40


@pytest.fixture
def pipelines(kubernetes: KubernetesServer, namespace: str, operator: OperatorProcess) -> Pipelines:
    assert operator
    return Pipelines(kubernetes, namespace)


@pytest.fixture
def admin(kafka: KafkaServer) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})


def build_spec(kafka: KafkaServer, policy: str = "Delete") -> Json:
    """Two topics, one of them consumed: three topics in Kafka, one Deployment."""
    return {
        "deletionPolicy": policy,
        "kafka": {"bootstrapServers": kafka.bootstrap_servers},
        "topics": [{"name": "orders"}, {"name": "returns"}],
        "services": [
            {
                "name": "order",
                "image": "order:1",
                "workers": [{"name": "consumer", "consumes": ["orders"], "replicas": 0}],
            }
        ],
    }


def topics_of(pipelines: Pipelines, admin: AdminClient, name: str = "shop") -> set[str]:
    """What exists in Kafka of an object's topics, without the prefix."""
    prefix = f"{pipelines.namespace}.{name}."
    found = admin.list_topics(timeout=20).topics
    return {topic.removeprefix(prefix) for topic in found if topic.startswith(prefix)}


ALL = {"orders", "returns", "orders.order.dlq"}


def left_behind(kubernetes: KubernetesServer, pipelines: Pipelines, name: str = "shop") -> Json:
    """The record about an object that is gone: topics, without the prefix, and why they stay."""
    found = kubernetes.kubectl(
        "-n", OPERATOR_NAMESPACE, "get", "configmap", "eventpipeline-left-behind", "-o", "json",
        "--ignore-not-found",
    )  # fmt: skip
    data = json.loads(found.stdout)["data"] if found.stdout.strip() else {}
    prefix = f"{pipelines.namespace}.{name}."
    entries = [json.loads(text) for key, text in data.items() if key.startswith(prefix)]
    return {
        topic.removeprefix(prefix): why
        for entry in entries
        for topic, why in entry["topics"].items()
    }


def commit_from_outside(kafka: KafkaServer, topic: str) -> None:
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": f"reports-{topic}"}
    )
    consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    consumer.close()


def finalizers(pipelines: Pipelines) -> list[str]:
    found: list[str] = pipelines.get("shop")["metadata"].get("finalizers", [])
    return found


@pytest.fixture
def shop(pipelines: Pipelines, kafka: KafkaServer) -> Json:
    """An object under Delete whose topics are there and recorded."""
    spec = build_spec(kafka)
    pipelines.apply({"shop": spec})
    pipelines.wait_for("shop", "TopicsReady", "True", "TopicsInSync")
    return spec


def test_the_finalizer_comes_and_goes_with_the_policy(shop: Json, pipelines: Pipelines) -> None:
    assert finalizers(pipelines) == [FINALIZER]
    pipelines.run("patch", "evp", "shop", "--type=json", "-p", json.dumps(
        [{"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/theirs"}]
    ))  # fmt: skip
    pipelines.apply({"shop": {**shop, "deletionPolicy": "Retain"}})
    wait_for("ours to go", lambda: finalizers(pipelines) == ["example.com/theirs"])
    pipelines.apply({"shop": shop})
    wait_for("ours to be back", lambda: set(finalizers(pipelines)) > {"example.com/theirs"})
    pipelines.run("patch", "evp", "shop", "--type=json", "-p", json.dumps(
        [{"op": "remove", "path": "/metadata/finalizers/0"}]
    ))  # fmt: skip


def test_topics_and_workloads_go_with_their_object(
    shop: Json, pipelines: Pipelines, admin: AdminClient, kubernetes: KubernetesServer
) -> None:
    assert shop
    wait_for("the worker", lambda: pipelines.names("deployments"))
    assert topics_of(pipelines, admin) == ALL
    pipelines.delete("shop")
    pipelines.wait_until_gone("shop")
    assert topics_of(pipelines, admin) == set()
    assert pipelines.names("deployments") == set()
    assert left_behind(kubernetes, pipelines) == {}


def test_no_topic_goes_while_a_pod_still_runs(
    shop: Json, pipelines: Pipelines, admin: AdminClient
) -> None:
    assert shop
    wait_for("the worker", lambda: pipelines.names("deployments"))
    (name,) = pipelines.names("deployments")
    template = json.loads(pipelines.run("get", "deployment", name, "-o", "json"))["spec"][
        "template"
    ]
    metadata = {"name": "running", "labels": template["metadata"]["labels"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    pipelines.run("create", "-f", "-", stdin=[pod])
    pipelines.delete("shop")
    wait_for("the Deployment to go", lambda: not pipelines.names("deployments"))
    assert topics_of(pipelines, admin) == ALL
    pipelines.run("delete", "pod", "running", "--force", "--grace-period=0")
    pipelines.wait_until_gone("shop")
    assert topics_of(pipelines, admin) == set()


def test_a_topic_that_others_have_read_stays_and_is_named(
    shop: Json,
    pipelines: Pipelines,
    admin: AdminClient,
    kafka: KafkaServer,
    kubernetes: KubernetesServer,
    operator: OperatorProcess,
) -> None:
    assert shop
    topic = f"{pipelines.namespace}.shop.orders"
    commit_from_outside(kafka, topic)
    counted = {"obstacle": "OffsetsOfOthers"}
    before = operator.metric("topics_left_behind_total", **counted) or 0
    pipelines.delete("shop")
    pipelines.wait_until_gone("shop")
    assert topics_of(pipelines, admin) == {"orders"}
    said = f"committed offsets of group reports-{topic}"
    assert left_behind(kubernetes, pipelines) == {"orders": f"OffsetsOfOthers: {said}"}
    assert operator.metric("topics_left_behind_total", **counted) == before + 1
    assert said in operator.log
    assert "TopicsLeftBehind" in pipelines.run("get", "events")


def test_an_annotation_approves_the_removal(
    shop: Json, pipelines: Pipelines, admin: AdminClient, kafka: KafkaServer
) -> None:
    assert shop
    topic = f"{pipelines.namespace}.shop.orders"
    commit_from_outside(kafka, topic)
    annotation = f"eventpipeline.dev/approve-topic-deletion={topic}"
    pipelines.run("annotate", "evp", "shop", annotation)
    pipelines.delete("shop")
    pipelines.wait_until_gone("shop")
    assert topics_of(pipelines, admin) == set()


def test_with_the_operator_down_retain_ends_at_once_and_delete_waits_for_it(
    shop: Json,
    pipelines: Pipelines,
    admin: AdminClient,
    kafka: KafkaServer,
    kubernetes: KubernetesServer,
    operator: OperatorProcess,
) -> None:
    """The namespace goes: all in it is deleted, and nothing can be created there any more."""
    assert shop
    pipelines.apply({"kept": build_spec(kafka, "Retain")})
    pipelines.wait_for("kept", "TopicsReady", "True", "TopicsInSync")
    commit_from_outside(kafka, f"{pipelines.namespace}.shop.returns")
    remade = f"{pipelines.namespace}.shop.orders"
    operator.stop(kill=True)
    (done,) = admin.delete_topics([remade]).values()
    done.result(timeout=20)
    wait_for("its end", lambda: "orders" not in topics_of(pipelines, admin))
    (done,) = admin.create_topics([NewTopic(remade, num_partitions=1)]).values()
    done.result(timeout=20)
    kubernetes.kubectl("delete", "namespace", pipelines.namespace, "--wait=false")
    pipelines.delete("shop", "kept")
    wait_for("Retain to be gone", lambda: pipelines.names() == {"shop"}, seconds=10)
    operator.start()
    pipelines.wait_until_gone("shop")
    operator.wait_until_leading()
    assert topics_of(pipelines, admin, "kept") == ALL
    assert topics_of(pipelines, admin) == {"orders", "returns"}
    found = left_behind(kubernetes, pipelines)
    assert {topic: why.split(":")[0] for topic, why in found.items()} == {
        "orders": "Recreated",
        "returns": "OffsetsOfOthers",
    }


def test_what_retain_leaves_is_recorded_too(
    pipelines: Pipelines, admin: AdminClient, kafka: KafkaServer, kubernetes: KubernetesServer
) -> None:
    pipelines.apply({"shop": build_spec(kafka, "Retain")})
    pipelines.wait_for("shop", "TopicsReady", "True", "TopicsInSync")
    pipelines.delete("shop")
    pipelines.wait_until_gone("shop", seconds=5)
    wait_for("the record", lambda: left_behind(kubernetes, pipelines))
    assert left_behind(kubernetes, pipelines) == dict.fromkeys(ALL, "Retained")
    assert topics_of(pipelines, admin) == ALL


def test_many_objects_that_go_at_once_are_gone_within_a_minute(
    pipelines: Pipelines, admin: AdminClient, kafka: KafkaServer, operator: OperatorProcess
) -> None:
    names = [f"shop{number}" for number in range(MANY)]
    spec = {**build_spec(kafka), "services": []}
    pipelines.apply(dict.fromkeys(names, spec))

    def ready() -> bool:
        summaries = [o.get("status", {}).get("topics", {}).get("summary") for o in pipelines.all()]
        return summaries == ["2/2"] * MANY

    wait_for("all topics", ready, seconds=60)
    removals = operator.metric("kafka_calls_total", call="delete_topics") or 0
    pipelines.delete(*names)
    pipelines.wait_until_gone(*names)
    assert all(topics_of(pipelines, admin, name) == set() for name in names)
    assert (operator.metric("kafka_calls_total", call="delete_topics") or 0) - removals < MANY


@pytest.mark.long
def test_an_object_whose_kafka_is_away_is_released_within_a_minute(
    pipelines: Pipelines, kafka: KafkaServer, kubernetes: KubernetesServer
) -> None:
    spec = build_spec(kafka)
    spec["kafka"]["bootstrapServers"] = f"127.0.0.1:{free_port()}"
    pipelines.apply({"shop": spec})
    pipelines.wait_for("shop", "TopicsReady", "False", "KafkaUnavailable")
    pipelines.delete("shop")
    pipelines.wait_until_gone("shop", seconds=60)
    whys = {why.split(":")[0] for why in left_behind(kubernetes, pipelines).values()}
    assert whys == {"KafkaUnavailable"}
