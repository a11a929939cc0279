"""What a user sees of workloads and of the operator itself: messages, rollouts, journal, logs."""

import json
from typing import Any

import pytest

from servers.kubernetes import OPERATOR_NAMESPACE, KubernetesServer
from servers.kubernetes_cluster import Cluster
from servers.kubernetes_operator import OperatorProcess
from servers.waiting import wait_for

Json = dict[str, Any]
WITHIN = 5.0

PULL = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}}
CRASH = {
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
}
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu.",
}


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (PULL, "ImagePullFailed", "image page:1 cannot be pulled"),
        (CRASH, "ContainerCrashing", "exit code 3"),
        ({"conditions": [UNSCHEDULABLE]}, "PodUnschedulable", "Insufficient cpu"),
    ],
)
def test_a_pod_in_trouble_is_named_within_seconds(
    shop: Json, cluster: Cluster, status: Json, reason: str, words: str
) -> None:
    assert shop
    wait_for("the Deployment", lambda: "shop-page" in cluster.names("deployments"))
    if "state" in status:
        about = {"name": "main", "image": "page:1", "imageID": "", "ready": False}
        status = {"containerStatuses": [{**about, "restartCount": 1, **status}]}
    cluster.create_pod("shop-page", status)

    def told() -> str | None:
        condition = cluster.condition("WorkloadsReady")
        message: str = condition["message"]
        return message if condition["reason"] == reason else None

    message = wait_for(reason, told, seconds=WITHIN)
    assert message
    assert "shop-page-1" in message
    assert words in message


def test_changed_config_rolls_those_alone_who_use_it(ready_shop: Json, cluster: Cluster) -> None:
    ready_shop["spec"]["services"][0]["workers"][0]["config"] = {"BATCH": "5"}
    cluster.apply(ready_shop)

    def generation(name: str) -> int:
        found: int = cluster.get("deployment", name)["metadata"]["generation"]
        return found

    wait_for("its worker to roll", lambda: generation("shop-order-consumer") == 2)
    cluster.finish_rollouts()
    cluster.wait_for_condition("Ready", "True", "Succeeded")
    assert generation("shop-order") == 1
    assert generation("shop-page") == 1


def read_journal(kubernetes: KubernetesServer, key: str) -> Json:
    arguments = ("-n", OPERATOR_NAMESPACE, "get", "configmaps", "-o", "json")
    items = json.loads(kubernetes.kubectl(*arguments).stdout)["items"]
    found = {
        k: text
        for item in items
        if item["metadata"]["name"].startswith("eventpipeline-journal-")
        for k, text in item.get("data", {}).items()
    }
    journal: Json = json.loads(found.get(key, "{}"))
    return journal


def test_the_journal_tells_what_was_done_and_no_secret(
    resting_shop: Json, cluster: Cluster, kubernetes: KubernetesServer, operator: OperatorProcess
) -> None:
    key = f"{cluster.namespace}.shop"
    (entry,) = read_journal(kubernetes, key)["generations"]
    calls = {(c["call"], c["object"], c["result"]) for c in entry["calls"]}
    topics = f"{key}.orders, {key}.orders.order.dlq"
    assert calls >= {
        ("create topics", topics, "done"),
        ("apply", "Deployment shop-order", "created"),
        ("apply", "Deployment shop-page", "created"),
    }
    assert entry["results"][-1]["reason"] in {"Succeeded", "WorkloadsAvailable"}
    resting_shop["spec"]["config"] = {"PLANTED": "p@ss/word"}
    cluster.apply(resting_shop)
    wait_for("the change", lambda: len(read_journal(kubernetes, key)["generations"]) == 2)
    text = json.dumps(read_journal(kubernetes, key))
    assert "spec.config added" in text
    assert "p@ss" not in text
    assert "p%40ss" not in text
    cluster.run("delete", "eventpipeline", "shop")
    wait_for("the journal to go", lambda: read_journal(kubernetes, key) == {})
    assert operator.metric("kubernetes_writes_total", kind="Journal")


def test_every_log_line_is_json_and_those_of_a_pass_name_object_and_generation(
    ready_shop: Json, cluster: Cluster, operator: OperatorProcess
) -> None:
    assert ready_shop
    lines = [json.loads(line) for line in operator.log.splitlines()]
    assert all({"event", "level", "timestamp"} <= set(line) for line in lines)
    ours = [line for line in lines if line.get("pipeline") == f"{cluster.namespace}/shop"]
    applied = [line for line in ours if line["event"] == "applied"]
    assert applied
    assert all(line["generation"] == 1 for line in applied)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("spec.services.workers.scale", "lag"),
        ("spec.topics.partitions", "only grow"),
        ("spec.secrets.vault.dynamic", "leases"),
        ("status.conditions", "Ready is the summary"),
    ],
)
def test_kubectl_explains_a_field(kubernetes: KubernetesServer, field: str, words: str) -> None:
    done = kubernetes.kubectl("explain", f"eventpipeline.{field}")
    assert done.returncode == 0, done.stderr
    assert words in done.stdout


def test_what_the_operator_does_is_measured(
    ready_shop: Json, cluster: Cluster, operator: OperatorProcess
) -> None:
    assert ready_shop
    assert cluster
    for name, labels in (
        ("reconcile_duration_seconds_count", {"outcome": "done"}),
        ("reconcile_problems_total", {"reason": "MigrationRunning"}),
        ("kubernetes_writes_total", {"kind": "Deployment", "result": "created"}),
        ("kafka_calls_total", {"call": "create_topics", "outcome": "ok"}),
        ("vault_calls_total", {"call": "login", "outcome": "ok"}),
    ):
        assert operator.metric(name, **labels), name
    for name in ("oldest_unreconciled_seconds", "queue_length", "queue_wait_seconds_count"):
        assert operator.metric(name) is not None, name
    assert operator.metric("reconcile_errors_total", reason="MigrationRunning") is None
    ready_shop["spec"]["secrets"][0]["vault"]["kv"] = {"path": f"{cluster.namespace}/none"}
    cluster.apply(ready_shop)
    denied = {"reason": "VaultReadDenied"}
    wait_for("its error", lambda: operator.metric("reconcile_errors_total", **denied))
