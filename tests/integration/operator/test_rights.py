"""The rights that the chart grants are those that the operator uses: not one less, not one more.

The API server's audit log says what was asked and what was forbidden, while one pipeline lives
through everything that can happen to it. Rights are compared as (resource, verb).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from servers.kafka import KafkaServer
from servers.kubernetes import (
    CONFINED,
    CONFINED_NAMESPACE,
    CONFINED_TOKEN,
    OPERATOR,
    OPERATOR_NAMESPACE,
    OPERATOR_TOKEN,
    KubernetesServer,
    render_chart,
)
from servers.kubernetes_cluster import Cluster, build_shop
from servers.kubernetes_operator import OperatorProcess
from servers.vault import VaultServer
from servers.vault_database import VaultDatabase
from servers.waiting import wait_for

Json = dict[str, Any]
Right = tuple[str, str]
Rights = set[Right]

GONE = (
    "jobs", "services", "serviceaccounts", "poddisruptionbudgets", "deployments", "networkpolicies",
)  # fmt: skip
ADMITTED: Rights = {("eventpipelines/finalizers", "update")}
"""Asked by the API server itself when an owner reference blocks the owner's deletion: without it
no child of the pipeline could be written (OwnerReferencesPermissionEnforcement is on here)."""


@dataclass(frozen=True)
class Audit:
    """What one user asked for since the server began."""

    log: Path
    user: str

    def events(self, start: int = 0) -> Iterator[Json]:
        """Requests for objects, from a line on."""
        for line in self.log.read_text().splitlines()[start:]:
            event = json.loads(line)
            if event["user"]["username"] == self.user and "objectRef" in event:
                yield event

    def used(self, within: Callable[[str], bool]) -> Rights:
        """Rights that were made use of in the namespaces in question."""
        found: Rights = set()
        for event in self.events():
            if within(event["objectRef"].get("namespace", "")):
                found |= _rights(event)
        return found

    def forbidden(self, start: int) -> list[str]:
        """What was asked for in vain."""
        return [
            f"{event['verb']} {event['requestURI']}"
            for event in self.events(start)
            if event.get("responseStatus", {}).get("code") == 403
        ]


def _rights(event: Json) -> Rights:
    reference = event["objectRef"]
    resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
    rights = {(resource, event["verb"])}
    if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == 201:
        rights.add((resource, "create"))  # an apply that creates is asked about both
    return rights


def granted(manifests: Sequence[Json], kind: str, suffix: str = "") -> Rights:
    (role,) = (
        m for m in manifests
        if m["kind"] == kind and m["metadata"]["name"] == f"eventpipeline-operator{suffix}"
    )  # fmt: skip
    return {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def build_manifest(cluster: Cluster, kafka: KafkaServer, vault: VaultServer, path: str) -> Json:
    """The shop, with a secret whose lease and topics that must go with it."""
    manifest = build_shop(cluster.namespace, kafka, vault)
    manifest["spec"]["deletionPolicy"] = "Delete"
    manifest["spec"]["secrets"].append(
        {"name": "lease", "vault": {"dynamic": {"path": path}}, "env": {"LEASED": "{username}"}}
    )
    return manifest


class Life:
    """Everything that happens to a pipeline."""

    def __init__(self, cluster: Cluster, vault: VaultServer, manifest: Json) -> None:
        self.cluster = cluster
        self._vault = vault
        self._manifest = manifest

    def live(self) -> None:
        self.begin()
        self.change()
        self.shrink()
        self.cluster.run("delete", "eventpipeline", "shop")

    def begin(self) -> None:
        self.cluster.apply(self._manifest)
        self.cluster.wait_for_condition("WorkloadsReady", "False", "MigrationRunning")
        self.cluster.finish_jobs()

        def ready() -> bool:
            self.cluster.finish_rollouts()
            return self.cluster.condition("Ready").get("status") == "True"

        wait_for("the shop to be Ready", ready, seconds=60)

    def change(self) -> None:
        """A new image runs its migration; a new value is delivered; drift is repaired."""
        self._manifest["spec"]["services"][0]["image"] = "order:2"
        self.cluster.apply(self._manifest)
        self._vault.write(self.cluster.namespace, USER="ada", PASSWORD="new")
        self.cluster.run("delete", "service", "shop-order")

        def finished() -> bool:
            self.cluster.finish_jobs()
            return len(self.cluster.names("jobs")) == 1 and bool(
                self.cluster.get("service", "shop-order")
            )

        wait_for("the old Job to go", finished)
        self.cluster.finish_rollouts()
        wait_for("the old Secret to go", lambda: len(self._delivered()) == 1)

    def shrink(self) -> None:
        """One service and no Ingress are left."""
        spec = self._manifest["spec"]
        del spec["ingress"], spec["services"][0]
        self.cluster.apply(self._manifest)
        wait_for("the Ingress to go", lambda: not self.cluster.names("ingresses"))
        wait_for("all of the other to go", lambda: not any(map(self._of_order, GONE)))

    def _of_order(self, kind: str) -> set[str]:
        return {name for name in self.cluster.names(kind) if name.startswith("shop-order")}

    def _delivered(self) -> set[str]:
        return {name for name in self.cluster.names("secrets") if name.startswith("shop-db-")}


@pytest.fixture
def life(cluster: Cluster, kafka: KafkaServer, vault: VaultServer, database: VaultDatabase) -> Life:
    name = cluster.namespace
    cluster.run("create", "serviceaccount", "shop-vault")
    vault.write(name, USER="ada", PASSWORD="p@ss/word")
    database.allow(name, name, "shop-vault", "10m")
    policy = vault.client.sys.read_policy(name)["data"]["rules"]
    readable = f'path "kv/data/{name}" {{ capabilities = ["read"] }}'
    vault.client.sys.create_or_update_policy(name, policy + readable)
    return Life(cluster, vault, build_manifest(cluster, kafka, vault, database.path(name)))


def run_life(
    operator: OperatorProcess, life: Life, database: VaultDatabase, variables: Mapping[str, str]
) -> None:
    """The whole of it, until the lease is given back and the operator is told to stop."""
    operator.start(**variables)
    try:
        operator.wait_until_leading()
        life.live()
        wait_for("the lease to end", lambda: not database.leases(life.cluster.namespace))
    finally:
        operator.stop()


@pytest.fixture
def alone(operator: OperatorProcess) -> Iterator[None]:
    """No other operator looks at the same objects."""
    operator.stop()
    yield
    operator.start()
    operator.wait_until_leading()


@pytest.mark.usefixtures("alone")
def test_every_right_in_the_whole_cluster_is_used_and_none_is_missing(
    kubernetes: KubernetesServer, life: Life, database: VaultDatabase, tmp_path: Path
) -> None:
    audit = Audit(kubernetes.audit_log, OPERATOR)
    start = len(audit.log.read_text().splitlines())
    process = OperatorProcess(kubernetes, tmp_path, "audited", OPERATOR_TOKEN)
    run_life(process, life, database, {})
    assert audit.forbidden(start) == []
    rights = granted(render_chart(), "ClusterRole")
    used = audit.used(lambda namespace: namespace != OPERATOR_NAMESPACE) | ADMITTED
    assert sorted(rights - used) == [], "superfluous"
    assert sorted(used - rights) == [], "missing"


@pytest.mark.usefixtures("alone")
def test_every_right_in_named_namespaces_is_used_and_none_is_missing(
    kubernetes: KubernetesServer, life: Life, database: VaultDatabase, tmp_path: Path
) -> None:
    watched = life.cluster.namespace
    manifests = render_chart(
        "--namespace", CONFINED_NAMESPACE, "--set-json", f'watchNamespaces=["{watched}"]'
    )
    kubernetes.kubectl("create", "namespace", CONFINED_NAMESPACE)
    rules = [m for m in manifests if m["kind"] in ("Role", "RoleBinding")]
    done = kubernetes.kubectl("apply", "--server-side", "-f", "-", stdin=rules)
    assert done.returncode == 0, done.stderr
    audit = Audit(kubernetes.audit_log, CONFINED)
    process = OperatorProcess(kubernetes, tmp_path, "confined", CONFINED_TOKEN)
    variables = {"OPERATOR_NAMESPACE": CONFINED_NAMESPACE, "WATCH_NAMESPACES": watched}
    run_life(process, life, database, variables)
    assert audit.forbidden(0) == []
    in_watched = audit.used(lambda namespace: namespace == watched) | ADMITTED
    own = audit.used(lambda namespace: namespace == CONFINED_NAMESPACE)
    rights = granted(rules, "Role", "-pipelines")
    assert sorted(rights - in_watched) == [], "superfluous"
    assert sorted(in_watched - rights) == [], "missing"
    assert own == granted(rules, "Role")
    assert audit.used(lambda namespace: namespace not in (watched, CONFINED_NAMESPACE)) == set()
