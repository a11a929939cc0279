"""The operator as a process against a real API server, Kafka and Vault."""

import json
from typing import Any

from servers.kafka import KafkaServer
from servers.kubernetes import KubernetesServer
from servers.kubernetes_cluster import Cluster, build_shop
from servers.kubernetes_operator import OperatorProcess
from servers.vault import VaultServer
from servers.waiting import wait_for

Json = dict[str, Any]


def delivered(cluster: Cluster) -> set[str]:
    return {name for name in cluster.names("secrets") if name.startswith("shop-db-")}


def test_an_object_becomes_ready_in_order(ready_shop: Json, cluster: Cluster) -> None:
    assert ready_shop
    live = cluster.get("eventpipeline", "shop")["status"]
    assert live["topics"]["summary"] == "1/1"
    assert live["services"]["summary"] == "2/2"
    assert live["url"] == "http://shop.localhost"
    assert live["observedGeneration"] == 1
    assert {c["type"] for c in live["conditions"]} == {
        "Ready", "TopicsReady", "SecretsReady", "WorkloadsReady",
    }  # fmt: skip
    prefix = f"{cluster.namespace}.shop.orders"
    assert [i["topicName"] for i in live["topics"]["items"]] == [prefix, f"{prefix}.order.dlq"]
    assert cluster.run("get", "evp").split()[:6] == [
        "NAME", "READY", "TOPICS", "SERVICES", "URL", "AGE",
    ]  # fmt: skip


def test_no_deployment_exists_before_the_migration_succeeded(shop: Json, cluster: Cluster) -> None:
    assert shop
    cluster.wait_for_condition("WorkloadsReady", "False", "MigrationRunning")
    wait_for("the other service", lambda: cluster.names("deployments") == {"shop-page"})
    assert len(cluster.names("jobs")) == 1


def test_nothing_is_written_at_rest_nor_after_a_restart(
    resting_shop: Json, cluster: Cluster, operator: OperatorProcess
) -> None:
    assert resting_shop
    before, passes = cluster.versions(), operator.metric("reconcile_duration_seconds_count") or 0
    writes = operator.writes()
    wait_for(
        "two resyncs",
        lambda: (operator.metric("reconcile_duration_seconds_count") or 0) >= passes + 2,
    )
    assert operator.writes() == writes
    operator.stop(kill=True)
    operator.start()
    operator.wait_until_leading()
    wait_for(
        "a pass after the restart",
        lambda: (operator.metric("reconcile_duration_seconds_count") or 0) >= 2,
    )
    assert operator.writes() == {}
    assert operator.metric("kafka_calls_total", call="create_topics") is None
    assert operator.metric("kafka_calls_total", call="alter_configs") is None
    assert cluster.versions() == before


def test_drift_of_every_kind_is_repaired(ready_shop: Json, cluster: Cluster) -> None:
    assert ready_shop
    cluster.run("delete", "service", "shop-order")
    cluster.run("delete", "ingress", "shop")
    cluster.run("set", "image", "deployment/shop-order", "main=drifted:1")
    cluster.run("scale", "deployment", "shop-order", "--replicas=7")
    wait_for("the Service", lambda: cluster.get("service", "shop-order"))
    wait_for("the Ingress", lambda: cluster.get("ingress", "shop"))

    def repaired() -> bool:
        spec = cluster.get("deployment", "shop-order")["spec"]
        image = spec["template"]["spec"]["containers"][0]["image"]
        return bool(image == "order:1" and spec["replicas"] == 2)

    wait_for("image and replicas", repaired)


def test_network_policies_are_repaired_changed_and_pruned_with_the_object(
    ready_shop: Json, cluster: Cluster
) -> None:
    kind, name = "networkpolicy", "shop-order-consumer"
    wanted = cluster.get(kind, name)["spec"]
    api = cluster.get(kind, "shop-order")["spec"]
    admitted = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
    assert [rule["from"] for rule in api["ingress"]] == [[admitted]]
    patch = '{"spec": {"egress": [{}]}}'
    cluster.run("patch", kind, name, "--type=merge", "-p", patch)
    wait_for("the hole to be closed", lambda: cluster.get(kind, name)["spec"] == wanted)
    service = ready_shop["spec"]["services"][0]
    service["workers"][0]["egress"] = ["192.0.2.0/24:443"]
    cluster.apply(ready_shop)
    added = {
        "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
        "ports": [{"port": 443, "protocol": "TCP"}],
    }
    wait_for("the new edge", lambda: added in cluster.get(kind, name)["spec"]["egress"])
    assert cluster.get(kind, "shop-order")["spec"] == api
    ready_shop["spec"]["networkPolicy"]["enabled"] = False
    cluster.apply(ready_shop)
    wait_for("all policies to go", lambda: not cluster.names("networkpolicies"))


def test_replicas_that_the_object_does_not_fix_are_left_to_others(
    ready_shop: Json, cluster: Cluster, operator: OperatorProcess
) -> None:
    assert ready_shop
    cluster.run("scale", "deployment", "shop-order-consumer", "--replicas=5")
    scaled = cluster.get("deployment", "shop-order-consumer")
    passes = operator.metric("reconcile_duration_seconds_count") or 0
    wait_for(
        "a pass", lambda: (operator.metric("reconcile_duration_seconds_count") or 0) >= passes + 2
    )
    assert cluster.get("deployment", "shop-order-consumer") == scaled


def test_a_changed_secret_rolls_its_users_and_the_old_one_goes(
    ready_shop: Json, cluster: Cluster, vault: VaultServer
) -> None:
    assert ready_shop
    before = delivered(cluster)
    assert len(before) == 1
    vault.write(cluster.namespace, USER="ada", PASSWORD="new")
    wait_for("the new Secret alone", lambda: len(delivered(cluster) - before) == 1, seconds=30)
    (after,) = delivered(cluster) - before

    def used(deployment: str) -> bool:
        return after in json.dumps(cluster.get("deployment", deployment)["spec"])

    wait_for("the API to use it", lambda: used("shop-order"))
    wait_for("its worker to use it", lambda: used("shop-order-consumer"))
    assert cluster.get("deployment", "shop-page")["metadata"]["generation"] == 1
    wait_for("the old one to go", lambda: delivered(cluster) == {after})


def test_secret_values_appear_nowhere_but_in_the_secret(
    ready_shop: Json, cluster: Cluster, operator: OperatorProcess
) -> None:
    assert ready_shop
    kinds = "eventpipelines,deployments,configmaps,events,jobs,services,ingresses"
    told = cluster.run("get", kinds, "-o", "yaml") + operator.log
    assert "p@ss" not in told
    assert "p%40ss" not in told


def test_a_removed_worker_is_pruned_with_all_that_was_its_own(
    ready_shop: Json, cluster: Cluster
) -> None:
    untouched = cluster.get("deployment", "shop-order")["metadata"]["resourceVersion"]
    del ready_shop["spec"]["services"][0]["workers"]
    cluster.apply(ready_shop)
    wait_for("its Deployment", lambda: "shop-order-consumer" not in cluster.names("deployments"))
    wait_for("its account", lambda: "shop-order-consumer" not in cluster.names("serviceaccounts"))
    wait_for(
        "its ConfigMap",
        lambda: not any(n.startswith("shop-order-consumer-") for n in cluster.names("configmaps")),
    )
    assert cluster.get("deployment", "shop-order")["metadata"]["resourceVersion"] == untouched


def test_an_object_of_somebody_else_is_not_taken_over(
    cluster: Cluster, kafka: KafkaServer, vault: VaultServer, operator: OperatorProcess
) -> None:
    manifest = build_shop(cluster.namespace, kafka, vault)
    del manifest["spec"]["secrets"]
    service = manifest["spec"]["services"][0]
    del service["secrets"], service["migrate"]
    cluster.run("create", "deployment", "shop-order", "--image=theirs:1")
    assert operator
    cluster.apply(manifest)
    found = cluster.wait_for_condition("Stalled", "True", "ObjectConflict")
    assert "Deployment shop-order" in found["message"]
    live = cluster.get("deployment", "shop-order")["spec"]["template"]["spec"]
    assert live["containers"][0]["image"] == "theirs:1"


def test_a_role_that_is_not_the_pipelines_own_is_refused(
    shop: Json, cluster: Cluster, vault: VaultServer
) -> None:
    vault.allow("another-team", "another-team", "another", "another")
    shop["spec"]["vault"]["auth"]["kubernetes"]["role"] = "another-team"
    cluster.apply(shop)
    found = cluster.wait_for_condition("SecretsReady", "False", "VaultLoginDenied")
    assert "another-team" in found["message"]


def test_a_changed_image_waits_for_its_migration(ready_shop: Json, cluster: Cluster) -> None:
    ready_shop["spec"]["services"][0]["image"] = "order:2"
    cluster.apply(ready_shop)
    cluster.wait_for_condition("WorkloadsReady", "False", "MigrationRunning")

    def image() -> str:
        spec = cluster.get("deployment", "shop-order")["spec"]["template"]["spec"]
        found: str = spec["containers"][0]["image"]
        return found

    assert image() == "order:1"
    cluster.finish_jobs()
    wait_for("the new image", lambda: image() == "order:2")
    wait_for("the old Job to go", lambda: len(cluster.names("jobs")) == 1)


def test_suspend_stops_all_changes(ready_shop: Json, cluster: Cluster) -> None:
    ready_shop["spec"]["suspend"] = True
    ready_shop["spec"]["services"][0]["replicas"] = 4
    cluster.apply(ready_shop)
    cluster.wait_for_condition("Ready", "Unknown", "Suspended")
    assert cluster.get("deployment", "shop-order")["spec"]["replicas"] == 2


def test_a_standby_takes_over_when_the_leader_is_killed(
    ready_shop: Json,
    cluster: Cluster,
    kubernetes: KubernetesServer,
    operator: OperatorProcess,
    tmp_path: Any,
) -> None:
    assert ready_shop
    standby = OperatorProcess(kubernetes, tmp_path, "second")
    standby.start()
    try:
        wait_for("the standby", lambda: standby.metric("leader") == 0.0)
        operator.stop(kill=True)
        wait_for("the standby to lead", lambda: standby.metric("leader") == 1.0, seconds=20)
        cluster.run("delete", "service", "shop-order")
        wait_for("the Service", lambda: cluster.get("service", "shop-order"))
        operator.start()
        standby.stop()
        wait_for("the first to lead again", lambda: operator.metric("leader") == 1.0, seconds=8)
    finally:
        standby.stop(kill=True)
        operator.wait_until_leading()
