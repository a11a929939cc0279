"""Vault sealed when an object comes, and at rest."""

from collections.abc import Iterator
from typing import Any

import pytest

from servers.kafka import KafkaServer
from servers.kubernetes_cluster import Cluster, build_shop
from servers.kubernetes_operator import OperatorProcess
from servers.vault import VaultServer
from servers.waiting import wait_for

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def unsealed(vault: VaultServer) -> Iterator[None]:
    yield
    vault.unseal()


def secrets_of(cluster: Cluster) -> set[str]:
    return {name for name in cluster.names("secrets") if name.startswith("shop-db-")}


def test_a_sealed_vault_leaves_what_runs_as_it_is(
    ready_shop: Json, vault: VaultServer, cluster: Cluster, operator: OperatorProcess
) -> None:
    before, delivered = cluster.versions(), secrets_of(cluster)
    logins = operator.metric("vault_calls_total", call="login")
    vault.seal()
    said = cluster.wait_for_condition("SecretsReady", "False", "VaultSealed")
    assert "stays in use" in said["message"]
    assert cluster.condition("WorkloadsReady")["status"] == "True"
    ready_shop["spec"]["services"][1]["replicas"] = 3
    cluster.apply(ready_shop)
    wait_for("a change that needs no Vault",
             lambda: cluster.get("deployment", "shop-page")["spec"]["replicas"] == 3)  # fmt: skip
    cluster.finish_rollouts()
    vault.unseal()
    wait_for("the condition", lambda: cluster.condition("Ready").get("status") == "True",
             seconds=90)  # fmt: skip
    assert secrets_of(cluster) == delivered
    assert operator.metric("vault_calls_total", call="login") == logins
    after = cluster.versions()
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    alive = {name for name in changed if not name.startswith("Event")}
    assert alive <= {"Deployment/shop-page", "PodDisruptionBudget/shop-page"}


def test_an_object_that_comes_while_vault_is_sealed_waits_for_it(
    vault: VaultServer, kafka: KafkaServer, cluster: Cluster, operator: OperatorProcess
) -> None:
    assert operator
    name = cluster.namespace
    cluster.run("create", "serviceaccount", "shop-vault")
    vault.write(name, USER="ada", PASSWORD="p@ss/word")
    vault.allow(name, name, "shop-vault", name)
    vault.seal()
    cluster.apply(build_shop(name, kafka, vault))
    cluster.wait_for_condition("SecretsReady", "False", "VaultSealed")
    assert cluster.names("deployments") == set()
    vault.unseal()
    wait_for("the secret", lambda: cluster.condition("SecretsReady").get("status") == "True",
             seconds=90)  # fmt: skip
    assert len(secrets_of(cluster)) == 1
