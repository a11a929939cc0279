"""The API server refuses for a while, or drops watches."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from servers.kafka import KafkaServer
from servers.kubernetes_cluster import Cluster, build_shop
from servers.kubernetes_operator import OperatorProcess
from servers.kubernetes_proxy import Asked, KubernetesProxy
from servers.vault import VaultServer
from servers.waiting import wait_for

pytestmark = pytest.mark.long  # each takes more than a minute

Json = dict[str, Any]
CHILDREN = ("configmaps", "serviceaccounts", "services", "deployments", "poddisruptionbudgets",
            "ingresses")  # fmt: skip


@pytest.fixture(autouse=True)
def it_lives_through(operator: OperatorProcess) -> Iterator[None]:
    yield
    assert operator.metric("leader") == 1.0


def is_write(asked: Asked) -> bool:
    return asked.method != "GET" and not asked.resource.startswith("leases")


def is_read(asked: Asked) -> bool:
    return asked.method == "GET" and not asked.resource.startswith("leases")


def is_watch(asked: Asked) -> bool:
    return asked.watch


def count_passes(operator: OperatorProcess) -> float:
    return operator.metric("reconcile_duration_seconds_count") or 0


def apply_shop(cluster: Cluster, kafka: KafkaServer, vault: VaultServer) -> None:
    """Everything of it but its migration."""
    name = cluster.namespace
    cluster.run("create", "serviceaccount", "shop-vault")
    vault.write(name, USER="ada", PASSWORD="p@ss/word")
    vault.allow(name, name, "shop-vault", name)
    manifest = build_shop(name, kafka, vault)
    del manifest["spec"]["services"][0]["migrate"]
    cluster.apply(manifest)


def wait_until_ready(cluster: Cluster) -> None:
    wait_for("the Deployments", lambda: len(cluster.names("deployments")) == 3, seconds=60)
    cluster.finish_rollouts()
    cluster.wait_for_condition("Ready", "True", "Succeeded")


def check_each_child_was_written_once(cluster: Cluster, proxy: KubernetesProxy) -> None:
    for kind in CHILDREN:
        there = len(cluster.names(kind) - {"default", "shop-vault", "kube-root-ca.crt"})
        assert proxy.asked["PATCH", cluster.namespace, kind] == there, kind


@pytest.mark.parametrize("matches", [is_write, is_read], ids=["writes", "reads"])
def test_a_server_with_too_much_to_do_is_waited_for(
    matches: Callable[[Asked], bool], operator: OperatorProcess, proxy: KubernetesProxy,
    cluster: Cluster, kafka: KafkaServer, vault: VaultServer,
) -> None:  # fmt: skip
    proxy.asked.clear()
    with proxy.refusing(matches, times=12) as refusal:
        apply_shop(cluster, kafka, vault)
        if matches is is_read:  # so that there is something to read anew
            assert proxy.cut_watches()
        wait_for("refusals", lambda: refusal.hits >= 10)
        wait_until_ready(cluster)
    check_each_child_was_written_once(cluster, proxy)
    assert operator.metric("kafka_calls_total", call="create_topics", outcome="failed") is None


@pytest.mark.parametrize(
    "answer",
    [{"status": 503}, {"status": 410}, {"status": 410, "in_stream": True}],
    ids=["server away", "version gone", "version gone, told in the stream"],
)
def test_what_happens_while_watches_are_down_is_seen_afterwards(
    answer: Json, operator: OperatorProcess, proxy: KubernetesProxy,
    cluster: Cluster, kafka: KafkaServer, vault: VaultServer,
) -> None:  # fmt: skip
    apply_shop(cluster, kafka, vault)
    wait_until_ready(cluster)
    with proxy.refusing(is_watch, retry_after=None, **answer) as refusal:
        watches = proxy.cut_watches()
        wait_for("all to be refused", lambda: refusal.hits >= watches > 0)
        cluster.run("delete", "service", "shop-order")
        cluster.run("patch", "evp", "shop", "--type=merge", "-p", '{"spec":{"config":{"A":"b"}}}')
    wait_for("the Service", lambda: cluster.get("service", "shop-order"), seconds=60)

    def configured() -> bool:
        cluster.finish_rollouts()
        live = cluster.get("eventpipeline", "shop")
        ready = cluster.condition("Ready").get("status") == "True"
        return bool(
            ready and live["status"]["observedGeneration"] == live["metadata"]["generation"]
        )

    wait_for("the change", configured, seconds=60)
    cluster.wait_until_told("Ready", "True", operator)
    writes, passes = operator.writes(), count_passes(operator)
    wait_for("rest", lambda: count_passes(operator) > passes + 1)
    assert operator.writes() == writes
