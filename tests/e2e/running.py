"""The deployed shop as the suite of all runtimes sees it; a process is a container's id."""

import copy
import json
import re
import subprocess
from typing import Any

import requests

from contracts.runtime import Change, Runtime
from e2e.catcher import caught_mails
from e2e.conftest import Cluster, Site
from e2e.vaults import VaultAdmin

NAMESPACE = "shop"
Json = dict[str, Any]


class ClusterRuntime(Runtime):
    """Reached through the Ingress, kubectl, and programs in the cluster's node and broker."""

    def __init__(
        self, cluster: Cluster, shop: Site, mails: Site, pipeline: Json, vault: VaultAdmin
    ) -> None:
        self._cluster = cluster
        self._shop = shop
        self._catcher = mails
        self._object = copy.deepcopy(pipeline)
        self._vault = vault

    def call(self, method: str, path: str, body: object = None) -> requests.Response:
        return self._shop.call(method, path, body)

    def subjects(self, order: str) -> list[str]:
        caught = caught_mails(self._catcher)
        return [mail["subject"] for mail in caught if order in str(mail.get("text", ""))]

    def setting(self, topic: str, key: str) -> str:
        told = self._kafka_configs(topic, "--describe", "--all")
        found = re.search(rf"^\s*{re.escape(key)}=(\S+)", told, re.MULTILINE)
        assert found, told
        return found[1]

    def change_setting(self, topic: str, key: str, value: str) -> None:
        self._kafka_configs(topic, "--alter", "--add-config", f"{key}={value}")

    def read_secret(self, path: str) -> dict[str, str]:
        return self._vault.read_kv(path)

    def write_secret(self, path: str, values: dict[str, str]) -> None:
        self._vault.write_kv(path, values)

    def edit(self, change: Change) -> None:
        change(self._object["spec"])
        self.apply(self._object)

    def apply(self, pipeline: Json) -> None:
        """As hack/deploy does, which then owns the same fields again."""
        apply = ("apply", "--server-side", "--force-conflicts", "--field-manager=deploy")
        self._cluster.run(*apply, "-f", "-", manifest=[pipeline])

    def is_ready(self) -> bool:
        live = self._cluster.get("eventpipeline", "shop", NAMESPACE)
        ready = self._cluster.condition("eventpipeline", "shop", NAMESPACE, "Ready")
        current = live["status"]["observedGeneration"] == live["metadata"]["generation"]
        return bool(current and ready["status"] == "True")

    def processes(self, workload: str) -> set[str]:
        pods = self._pods("-l", f"eventpipeline.dev/workload={workload}")
        return {c["containerID"] for pod in pods for c in _containers(pod) if c["ready"]}

    def runs(self, process: str) -> bool:
        return self._node_of(process) is not None

    def kill(self, process: str) -> None:
        node = self._node_of(process)
        assert node, f"{process} does not run"
        kill = ("ctr", "-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL")
        identity = process.removeprefix("containerd://")
        subprocess.run(["docker", "exec", node, *kill, identity], check=True, capture_output=True)

    def _node_of(self, process: str) -> str | None:
        """Kind's nodes are Docker containers of the same name."""
        for pod in self._pods():
            if any(
                c["containerID"] == process and "running" in c["state"] for c in _containers(pod)
            ):
                return str(pod["spec"]["nodeName"])
        return None

    def _pods(self, *selection: str) -> list[Json]:
        listed = self._cluster.run("-n", NAMESPACE, "get", "pods", *selection, "-o", "json")
        pods: list[Json] = json.loads(listed)["items"]
        return pods

    def _kafka_configs(self, topic: str, *arguments: str) -> str:
        return self._cluster.in_broker(
            "kafka-configs.sh", "--entity-type", "topics", "--entity-name", topic, *arguments
        )


def _containers(pod: Json) -> list[Json]:
    """Those that have begun."""
    statuses = pod["status"].get("containerStatuses", ())
    return [status for status in statuses if status.get("containerID")]
