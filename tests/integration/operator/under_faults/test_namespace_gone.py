"""A namespace is deleted, with everything in it, while no operator runs."""

import json
from typing import Any

import pytest

from servers.kafka import KafkaServer
from servers.kubernetes import OPERATOR_NAMESPACE, KubernetesServer
from servers.kubernetes_cluster import Cluster, build_shop
from servers.kubernetes_operator import OperatorProcess
from servers.vault import VaultServer
from servers.vault_database import VaultDatabase
from servers.waiting import wait_for

pytestmark = pytest.mark.long  # each takes more than a minute

Json = dict[str, Any]


@pytest.fixture
def leased(
    cluster: Cluster, kafka: KafkaServer, vault: VaultServer, database: VaultDatabase
) -> Json:
    """A pipeline with a lease, applied."""
    name = cluster.namespace
    cluster.run("create", "serviceaccount", "shop-vault")
    database.allow(name, name, "shop-vault", "10m")
    manifest = build_shop(name, kafka, vault)
    secret = manifest["spec"]["secrets"][0]
    secret["vault"] = {"dynamic": {"path": database.path(name)}}
    secret["env"] = {"DATABASE_URL": "postgresql://{username}:{password|urlencode}@db/orders"}
    cluster.apply(manifest)
    return manifest


def exists(kubernetes: KubernetesServer, namespace: str) -> bool:
    return kubernetes.kubectl("get", "namespace", namespace).returncode == 0


def records(kubernetes: KubernetesServer) -> set[str]:
    """Keys of what the operator remembers about leases."""
    done = kubernetes.kubectl("-n", OPERATOR_NAMESPACE, "get", "secrets", "-o", "json")
    return {
        key
        for item in json.loads(done.stdout)["items"]
        for key in item.get("data", {})
        if key.startswith("leases.")
    }


def test_its_leases_end_and_nothing_of_it_comes_back(
    leased: Json, cluster: Cluster, kubernetes: KubernetesServer,
    operator: OperatorProcess, database: VaultDatabase,
) -> None:  # fmt: skip
    assert leased
    name = cluster.namespace
    cluster.wait_for_condition("WorkloadsReady", "False", "MigrationRunning")
    uid = cluster.get("eventpipeline", "shop")["metadata"]["uid"]
    assert len(database.leases(name)) == 1
    operator.stop(kill=True)
    with kubernetes.controllers("namespace-controller"):
        kubernetes.kubectl("delete", "namespace", name, "--wait=false")
        wait_for("the namespace to go", lambda: not exists(kubernetes, name), seconds=90)
    operator.start()
    operator.wait_until_leading()
    wait_for("the lease to end", lambda: not database.leases(name), seconds=60)
    wait_for("the record to go", lambda: f"leases.{uid}" not in records(kubernetes))
    assert operator.writes().keys() <= {"VaultRecord"}
