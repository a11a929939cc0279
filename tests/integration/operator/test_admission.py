"""What the API server refuses, with a message that names the field, and what it must take."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from servers.kubernetes import KubernetesServer

Json = dict[str, Any]


def build_object(namespace: str) -> Json:
    return {
        "apiVersion": "eventpipeline.dev/v1alpha1",
        "kind": "EventPipeline",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {
            "kafka": {"bootstrapServers": "kafka:9092"},
            "vault": {
                "address": "http://vault:8200",
                "auth": {"kubernetes": {"role": "shop", "serviceAccount": "shop"}},
            },
            "topics": [{"name": "orders", "partitions": 6}],
            "secrets": [{"name": "db", "vault": {"kv": {"path": "shop"}}, "env": {"A": "{A}"}}],
            "services": [
                {
                    "name": "order",
                    "image": "order:1",
                    "port": 8080,
                    "secrets": ["db"],
                    "migrate": {},
                    "workers": [{"name": "relay", "produces": ["orders"]}],
                }
            ],
        },
    }


def attempt(kubernetes: KubernetesServer, manifest: Json, *arguments: str) -> str:
    """What kubectl says against an object; nothing when it is taken (and not kept)."""
    done = kubernetes.kubectl(
        "apply", "--dry-run=server", "-f", "-", *arguments, stdin=json.dumps(manifest)
    )
    return "" if done.returncode == 0 else done.stderr


def service(spec: Json) -> Json:
    found: Json = spec["services"][0]
    return found


def worker(spec: Json) -> Json:
    found: Json = service(spec)["workers"][0]
    return found


WORKER = "spec.services[order].workers[relay]"
CHANCE = "add it there or correct the name"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda s: s["topics"].append({"name": "orders"}),
            ["spec.topics[1]", "Duplicate value", "orders"],
        ),
        (lambda s: s["topics"][0].update(partitions=-1), ["spec.topics[0].partitions", "-1"]),
        (
            lambda s: worker(s).update(consumes=["nowhere"]),
            [f"{WORKER}.consumes: 'nowhere' is not in spec.topics: {CHANCE}"],
        ),
        (
            lambda s: worker(s).update(produces=["orders", "nowhere"]),
            [f"{WORKER}.produces: 'nowhere' is not in spec.topics: {CHANCE}"],
        ),
        (
            lambda s: service(s).update(produces=["nowhere"]),
            [f"spec.services[order].produces: 'nowhere' is not in spec.topics: {CHANCE}"],
        ),
        (
            lambda s: service(s).update(secrets=["nowhere"]),
            [f"spec.services[order].secrets: 'nowhere' is not in spec.secrets: {CHANCE}"],
        ),
        (
            lambda s: service(s)["migrate"].update(secrets=["nowhere"]),
            [f"spec.services[order].migrate.secrets: 'nowhere' is not in spec.secrets: {CHANCE}"],
        ),
        (
            lambda s: worker(s).update(calls=["nowhere"]),
            [f"{WORKER}.calls: 'nowhere' is not in spec.services with a port: {CHANCE}"],
        ),
        (lambda s: service(s)["workers"].append({"name": "relay"}), ["workers[1]", "Duplicate"]),
        (lambda s: s["services"].append(service(s)), ["spec.services[1]", "Duplicate"]),
        (lambda s: s["secrets"].append(s["secrets"][0]), ["spec.secrets[1]", "Duplicate"]),
        (lambda s: s.pop("vault"), ["spec.vault is needed by spec.secrets"]),
        (lambda s: s.pop("kafka"), ["spec.kafka", "Required"]),
        (lambda s: s["kafka"].update(bootstrapServers="kafka"), ["spec.kafka.bootstrapServers"]),
        (lambda s: s["topics"][0].update(name="Orders"), ["spec.topics[0].name"]),
        (
            lambda s: s["topics"][0].update(external={"topicName": "x"}),
            ["spec.topics[0]", "an external topic is never touched"],
        ),
        (lambda s: service(s).update(path="api"), ["spec.services[0].path"]),
        (
            lambda s: [service(s).pop("port"), service(s).update(path="/api")],
            ["path needs port"],
        ),
        (
            lambda s: [service(s).pop("port"), service(s).pop("workers")],
            ["a service needs port (an API) or workers"],
        ),
        (
            lambda s: worker(s).update(replicas=1, scale={"max": 3}),
            ["replicas and scale exclude each other"],
        ),
        (lambda s: worker(s).update(scale={"min": 4, "max": 3}), ["scale.min must not exceed"]),
        (lambda s: service(s).update(probes={"type": "exec"}), ["probes.command is needed"]),
        (lambda s: service(s).update(config={"1A": "x"}), ["config: each key must be a variable"]),
        (
            lambda s: [
                s.update(networkPolicy={}, ingress={"host": "shop.localhost"}),
                service(s).update(path="/api"),
            ],
            ["spec.networkPolicy.ingressFrom is needed by paths"],
        ),
        (
            lambda s: s.update(networkPolicy={"dns": [{"namespace": "a", "cidr": "10.0.0.0/8"}]}),
            ["spec.networkPolicy.dns[0]", "exactly one of namespace and cidr"],
        ),
        (
            lambda s: s.update(
                networkPolicy={"dns": [{"cidr": "10.0.0.0/8", "podLabels": {"a": "b"}}]}
            ),
            ["podLabels are of pods in a namespace"],
        ),
        (lambda s: worker(s).update(egress=["db"]), ["spec.services[0].workers[0].egress[0]"]),
        (lambda s: s["secrets"][0].pop("env"), ["a secret needs env or files"]),
        (lambda s: s.update(deletionPolicy="Burn"), ["spec.deletionPolicy", "Unsupported value"]),
        (lambda s: s.update(sevices=[]), ["unknown field", "spec.sevices"]),
    ],
)
def test_a_mistake_is_refused_with_its_field(
    kubernetes: KubernetesServer,
    namespace: str,
    spoil: Callable[[Json], Any],
    words: list[str],
) -> None:
    manifest = build_object(namespace)
    assert attempt(kubernetes, manifest) == ""
    spoil(manifest["spec"])
    said = attempt(kubernetes, json.loads(json.dumps(manifest)))
    for word in words:
        assert word in said


@pytest.mark.parametrize("name", ["p" * 21, "1shop", "sh.op"])
def test_a_name_from_which_no_others_can_be_made_is_refused(
    kubernetes: KubernetesServer, namespace: str, name: str
) -> None:
    manifest = build_object(namespace)
    manifest["metadata"]["name"] = name
    assert "metadata.name" in attempt(kubernetes, manifest)


def test_partitions_never_shrink(kubernetes: KubernetesServer, namespace: str) -> None:
    manifest = build_object(namespace)
    done = kubernetes.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    assert done.returncode == 0, done.stderr
    smaller, larger = copy.deepcopy(manifest), copy.deepcopy(manifest)
    smaller["spec"]["topics"][0]["partitions"] = 5
    larger["spec"]["topics"][0]["partitions"] = 7
    said = attempt(kubernetes, smaller)
    assert "spec.topics[0].partitions" in said
    assert "partitions can only grow" in said
    assert attempt(kubernetes, larger) == ""


def test_the_largest_object_is_taken(kubernetes: KubernetesServer, namespace: str) -> None:
    manifest = build_object(namespace)
    topics = [f"topic-{number:03}" for number in range(1000)]
    manifest["spec"]["topics"] = [{"name": name, "partitions": 3} for name in topics]
    manifest["spec"]["services"] = [
        {
            "name": f"service-{number:02}",
            "image": "image:1",
            "port": 8080,
            "secrets": ["db"],
            "calls": ["service-00"],
            "workers": [
                {
                    "name": f"worker-{each}",
                    "produces": [topics[number * 20 + each]],
                    "consumes": [topics[-1 - number * 20 - each]],
                }
                for each in range(10)
            ],
        }
        for number in range(50)
    ]
    done = kubernetes.kubectl(
        "apply", "--server-side", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest)
    )
    assert done.returncode == 0, done.stderr


def test_every_field_can_be_explained(kubernetes: KubernetesServer) -> None:
    done = kubernetes.kubectl("explain", "eventpipeline.spec.services.workers.consumerGroup")
    assert "keep the offsets" in done.stdout
