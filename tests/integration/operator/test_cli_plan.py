"""`plan` and `apply` against a real API server, Kafka and Vault, with the operator at work.

Who plans here may only read, and no Secret at all: a write of any kind would be refused.
"""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from servers.command_line import CommandLine
from servers.kafka import KafkaServer
from servers.kubernetes import KubernetesServer
from servers.kubernetes_cluster import Cluster
from servers.vault import VaultServer
from servers.vault_database import VaultDatabase

Json = dict[str, Any]

READER = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "reader"},
    "rules": [
        {"apiGroups": groups, "resources": resources, "verbs": ["get", "list"]}
        for groups, resources in (
            (["eventpipeline.dev"], ["eventpipelines"]),
            ([""], ["configmaps", "serviceaccounts", "services", "pods"]),
            (["apps"], ["deployments"]),
            (["batch"], ["jobs"]),
            (["networking.k8s.io"], ["ingresses", "networkpolicies"]),
            (["policy"], ["poddisruptionbudgets"]),
        )
    ],
}


@pytest.fixture
def reader(
    kubernetes: KubernetesServer, cluster: Cluster, vault: VaultServer, tmp_path: Path
) -> CommandLine:
    """Somebody who may read: in the cluster no Secret, in Vault only versions."""
    cluster.run("apply", "-f", "-", stdin=[READER])
    cluster.run("create", "serviceaccount", "reader")
    subject = f"--serviceaccount={cluster.namespace}:reader"
    cluster.run("create", "rolebinding", "reader", "--role=reader", subject)
    token = cluster.run("create", "token", "reader").strip()
    policy = f'path "kv/metadata/{cluster.namespace}" {{ capabilities = ["read"] }}'
    vault.client.sys.create_or_update_policy("versions", policy)
    asked = vault.client.auth.token.create(policies=["versions"])["auth"]["client_token"]
    kubeconfig = kubernetes.write_kubeconfig(tmp_path / "reader", token)
    return CommandLine(kubeconfig, cluster.namespace, VAULT_TOKEN=asked)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shop.yaml"


def planned(answer: str) -> dict[str, Json]:
    return {f"{c['action']} {c['subject']}": c for c in json.loads(answer)["changes"]}


def test_a_plan_of_an_applied_object_is_empty(
    ready_shop: Json, reader: CommandLine, file: Path
) -> None:
    file.write_text(yaml.safe_dump(ready_shop))
    done = reader.run("plan", "-f", str(file))
    assert (done.returncode, done.stdout) == (0, "Nothing would change.\n"), done.stderr


def test_a_change_is_foreseen_everywhere_and_then_done_exactly(
    ready_shop: Json,
    reader: CommandLine,
    command_line: CommandLine,
    cluster: Cluster,
    file: Path,
    tmp_path: Path,
) -> None:
    spec = ready_shop["spec"]
    spec["topics"][0]["partitions"] = 4
    spec["services"][1] |= {"image": "page:2", "config": {"SMTP_PASSWORD": "hunter2"}}
    file.write_text(yaml.safe_dump(ready_shop))
    out = tmp_path / "shop.plan"

    done = reader.run("plan", "-f", str(file), "--out", str(out), "--output", "json")
    assert done.returncode == 2, done.stderr
    changes = planned(done.stdout)
    prefix = f"{cluster.namespace}.shop"
    assert {s for s in changes if "ConfigMap" not in s} == {
        "update EventPipeline shop",
        f"update topic {prefix}.orders",
        "update Deployment shop-page",
    }
    assert "hunter2" not in done.stdout + reader.run("plan", "-f", str(file)).stdout
    assert stat.S_IMODE(out.stat().st_mode) == 0o600

    refused = reader.run("apply", str(out))
    assert refused.returncode == 1
    assert "cannot update resource" in refused.stderr
    applied = command_line.run("apply", str(out))
    assert applied.returncode == 0, applied.stderr
    cluster.wait_for_condition("WorkloadsReady", "False", "RollingOut")
    cluster.finish_rollouts()
    cluster.wait_for_condition("Ready", "True", "Succeeded")
    again = reader.run("plan", "-f", str(file))
    assert (again.returncode, again.stdout) == (0, "Nothing would change.\n"), again.stderr

    stale = command_line.run("apply", str(out))
    assert stale.returncode == 1
    assert "the plan is stale" in stale.stderr


def test_a_new_version_in_vault_is_foreseen(
    ready_shop: Json, reader: CommandLine, vault: VaultServer, cluster: Cluster, file: Path
) -> None:
    ready_shop["spec"]["suspend"] = True
    cluster.apply(ready_shop)
    cluster.wait_for_condition("Ready", "Unknown", "Suspended")
    vault.write(cluster.namespace, USER="ada", PASSWORD="another")
    ready_shop["spec"]["suspend"] = False
    file.write_text(yaml.safe_dump(ready_shop))
    done = reader.run("plan", "-f", str(file), "-o", "json")
    assert done.returncode == 2, done.stderr
    changes = planned(done.stdout)
    assert "update Deployment shop-order" in changes
    assert [name for name in changes if name.startswith("replace Secret shop-db-")]
    assert "another" not in done.stdout


def test_who_might_have_vault_make_a_user_makes_none_by_planning(
    ready_shop: Json,
    kubernetes: KubernetesServer,
    vault: VaultServer,
    database: VaultDatabase,
    file: Path,
) -> None:
    spec, role = ready_shop["spec"], ready_shop["metadata"]["namespace"]
    database.allow(role, role, "shop-vault", "10m")
    made = {"name": "users", "vault": {"dynamic": {"path": database.path(role)}}}
    spec["secrets"].append(made | {"env": {"DATABASE_USER": "{username}"}})
    spec["services"][1]["secrets"] = ["users"]
    file.write_text(yaml.safe_dump(ready_shop))
    kubeconfig, token = kubernetes.write_kubeconfig(file.with_name("all")), vault.client.token
    done = CommandLine(kubeconfig, role, VAULT_TOKEN=token).run("plan", "-f", str(file))
    assert done.returncode == 2, done.stderr
    assert "users" in done.stdout
    assert database.leases(role) == set()


def test_a_new_object_is_created_from_its_plan_once(
    shop: Json,
    command_line: CommandLine,
    cluster: Cluster,
    kafka: KafkaServer,
    file: Path,
    tmp_path: Path,
) -> None:
    second = {
        **shop,
        "metadata": {"name": "second"},
        "spec": {
            "kafka": {"bootstrapServers": kafka.bootstrap_servers},
            "topics": [{"name": "orders"}],
        },
    }
    file.write_text(yaml.safe_dump(second))
    out = str(tmp_path / "second.plan")
    done = command_line.run("plan", "-f", str(file), "--out", out)
    assert done.returncode == 2, done.stderr
    assert f"+ create topic {cluster.namespace}.second.orders" in done.stdout
    assert command_line.run("apply", out).returncode == 0
    assert cluster.get("eventpipeline", "second")
    assert "the plan is stale" in command_line.run("apply", out).stderr


def test_what_is_wrong_with_an_object_is_told_with_file_and_line(
    command_line: CommandLine, file: Path
) -> None:
    file.write_text(
        """apiVersion: eventpipeline.dev/v1alpha1
kind: EventPipeline
metadata: {name: shop}
spec:
  kafka: {bootstrapServers: "kafka:9092"}
  services:
    - name: order
      image: order:1
      workers:
        - name: consumer
          consumes: [orders]
"""
    )
    done = command_line.run("plan", "-f", str(file))
    assert done.returncode == 1
    assert f"{file}:11: spec.services[order].workers[consumer].consumes: 'orders' is" in done.stderr


def test_a_kafka_that_is_not_reached_is_an_error_with_a_way_out(
    shop: Json, command_line: CommandLine, file: Path
) -> None:
    file.write_text(yaml.safe_dump(shop))
    away = ("plan", "-f", str(file), "--bootstrap-servers", "127.0.0.1:1")
    done = command_line.run(*away)
    assert done.returncode == 1
    assert "--bootstrap-servers" in done.stderr
    assert "Kafka was not looked at" in command_line.run(*away, "--skip-kafka").stdout
