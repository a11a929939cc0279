"""The operator in a real cluster: what is applied becomes so, stays so, and goes away again."""

import copy
import json
import re
from typing import Any

import pytest

from servers.waiting import wait_for

Json = dict[str, Any]


def small_pipeline(namespace: str, image: str) -> Json:
    """A pipeline without Vault: two topics, one web server, one worker that sleeps."""
    return {
        "apiVersion": "eventpipeline.dev/v1alpha1",
        "kind": "EventPipeline",
        "metadata": {"name": "small", "namespace": namespace},
        "spec": {
            "kafka": {"bootstrapServers": "kafka.platform.svc:9092"},
            "ingress": {"className": "traefik", "host": f"{namespace}.localhost"},
            "topics": [{"name": "greetings", "partitions": 2}, {"name": "answers"}],
            "services": [
                {
                    "name": "web",
                    "image": image,
                    "port": 8080,
                    "path": "/",
                    "replicas": 1,
                    "command": ["python3", "-m", "http.server", "8080"],
                    "probes": {"type": "tcp"},
                    "workers": [
                        {
                            "name": "sleeper",
                            "command": ["python3", "-c", "import signal; signal.pause()"],
                            "consumes": ["greetings"],
                            "probes": {"type": "none"},
                        }
                    ],
                }
            ],
        },
    }


def child(cluster: Any, kind: str, namespace: str, component: str) -> Json:
    """The one object of a kind whose name ends with a component of the small pipeline."""
    names = [name for name in cluster.names(kind, namespace) if name.endswith(component)]
    assert len(names) == 1, names
    found: Json = cluster.get(kind, names[0].split("/", 1)[1], namespace)
    return found


@pytest.fixture(scope="module")
def image(shop_object: Json) -> str:
    """An image that the cluster has and that carries Python."""
    found: str = shop_object["spec"]["services"][0]["image"]
    return found


@pytest.fixture
def small(cluster: Any, namespace: str, image: str) -> Json:
    """The small pipeline, applied and Ready."""
    pipeline = small_pipeline(namespace, image)
    cluster.apply(pipeline)
    wait_until_ready(cluster, namespace, "small")
    return pipeline


def wait_until_ready(cluster: Any, namespace: str, name: str) -> None:
    cluster.run(
        *("-n", namespace, "wait", "--for=condition=Ready", "--timeout=120s"),
        f"eventpipeline/{name}",
    )


def test_the_shop_is_ready_for_kubectl_wait(cluster: Any) -> None:
    wait_until_ready(cluster, "shop", "shop")


def test_the_columns_tell_ready_topics_services_url_and_age(cluster: Any) -> None:
    header, *rows = cluster.run("get", "eventpipelines", "-A").splitlines()
    assert header.split() == ["NAMESPACE", "NAME", "READY", "TOPICS", "SERVICES", "URL", "AGE"]
    shop = next(row.split() for row in rows if row.startswith("shop "))
    assert shop[2] == "True"
    assert shop[4] == "3/3"
    assert re.fullmatch(r"(\d+)/\1", shop[3])
    assert shop[5].startswith("http://shop.localhost")


def test_an_applied_pipeline_gets_its_topics_and_workloads(
    cluster: Any, small: Json, namespace: str
) -> None:
    assert small
    topics = {topic for topic in cluster.kafka_topics() if topic.startswith(f"{namespace}.")}
    assert topics == {
        f"{namespace}.small.greetings",
        f"{namespace}.small.answers",
        f"{namespace}.small.greetings.web.dlq",
    }
    assert child(cluster, "deployments", namespace, "-web")
    assert child(cluster, "deployments", namespace, "-sleeper")
    assert child(cluster, "services", namespace, "-web")
    assert len(cluster.names("ingresses", namespace)) == 1


def test_a_drifted_deployment_comes_back(cluster: Any, small: Json, namespace: str) -> None:
    deployment = child(cluster, "deployments", namespace, "-web")
    name = deployment["metadata"]["name"]
    wanted = small["spec"]["services"][0]["image"]
    path = "/spec/template/spec/containers/0/image"
    patch = json.dumps([{"op": "replace", "path": path, "value": "drifted:1"}])
    cluster.run("-n", namespace, "patch", "deployment", name, "--type=json", f"-p={patch}")

    def image_is_back() -> bool:
        live = cluster.get("deployment", name, namespace)
        found: str = live["spec"]["template"]["spec"]["containers"][0]["image"]
        return bool(found == wanted)

    wait_for("the declared image", image_is_back)


def test_a_deleted_service_comes_back(cluster: Any, small: Json, namespace: str) -> None:
    assert small
    before = child(cluster, "services", namespace, "-web")["metadata"]
    cluster.run("-n", namespace, "delete", "service", before["name"])

    def is_new() -> bool:
        live = cluster.get("service", before["name"], namespace)
        return bool(live.get("metadata", {}).get("uid") not in {None, before["uid"]})

    wait_for("a new Service", is_new)


def test_an_unchanged_pipeline_is_not_written(cluster: Any, small: Json, namespace: str) -> None:
    before = cluster.get("eventpipeline", "small", namespace)
    cluster.run("-n", namespace, "annotate", "eventpipeline", "small", "example.com/touched=yes")
    deployment = child(cluster, "deployments", namespace, "-web")["metadata"]
    cluster.apply(small)
    after = cluster.get("eventpipeline", "small", namespace)
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert after["status"] == before["status"]
    again = child(cluster, "deployments", namespace, "-web")["metadata"]
    assert again["resourceVersion"] == deployment["resourceVersion"]


def test_a_deleted_pipeline_leaves_nothing_but_its_topics(
    cluster: Any, small: Json, namespace: str
) -> None:
    assert small
    cluster.run("-n", namespace, "delete", "eventpipeline", "small", "--timeout=60s")

    def leftovers() -> set[str]:
        kinds = (
            "deployments,replicasets,pods,services,ingresses,jobs,"
            "secrets,configmaps,serviceaccounts,poddisruptionbudgets"
        )
        found: set[str] = cluster.names(kinds, namespace)
        return found - {"configmap/kube-root-ca.crt", "serviceaccount/default"}

    wait_for("an empty namespace", lambda: not leftovers(), seconds=90)
    assert f"{namespace}.small.greetings" in cluster.kafka_topics()


def spoiled(pipeline: Json, path: str) -> Json:
    """The small pipeline with one mistake in it."""
    bad = copy.deepcopy(pipeline)
    spec = bad["spec"]
    mistakes = {
        "duplicate": lambda: spec["topics"].append({"name": "greetings"}),
        "unknown": lambda: spec["services"][0]["workers"][0].update(consumes=["nowhere"]),
        "negative": lambda: spec["topics"][0].update(partitions=-1),
    }
    mistakes[path]()
    return bad


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("duplicate", ["spec.topics[2]", "greetings", "Duplicate"]),
        ("unknown", ["consumes", "nowhere"]),
        ("negative", ["spec.topics[0].partitions", "greater than or equal to 1"]),
    ],
)
def test_the_api_server_refuses_a_mistake_and_names_the_field(
    cluster: Any, namespace: str, image: str, mistake: str, words: list[str]
) -> None:
    refused = cluster.attempt(
        "apply", "-f", "-", manifest=[spoiled(small_pipeline(namespace, image), mistake)]
    )
    assert refused.returncode != 0
    for word in words:
        assert word in refused.stderr
    assert cluster.get("eventpipeline", "small", namespace) == {}
