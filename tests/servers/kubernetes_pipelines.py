"""EventPipelines of one namespace as a user with kubectl sees them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from servers.kubernetes import KubernetesServer
from servers.waiting import wait_for

Json = dict[str, Any]


class Pipelines:
    """kubectl on the EventPipelines of a namespace."""

    def __init__(self, server: KubernetesServer, namespace: str) -> None:
        self._server = server
        self.namespace = namespace

    def run(self, *arguments: str, stdin: Sequence[object] = ()) -> str:
        """One call that must succeed."""
        done = self._server.kubectl("-n", self.namespace, *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, specs: Mapping[str, Json]) -> None:
        """Create or change objects, by name."""
        manifests = [
            {
                "apiVersion": "eventpipeline.dev/v1alpha1",
                "kind": "EventPipeline",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": spec,
            }
            for name, spec in specs.items()
        ]
        self.run("apply", "-f", "-", stdin=manifests)

    def get(self, name: str) -> Json:
        """One object; empty when it is gone."""
        found = self.run("get", "eventpipeline", name, "-o", "json", "--ignore-not-found")
        loaded: Json = json.loads(found) if found.strip() else {}
        return loaded

    def all(self) -> list[Json]:
        """Every object."""
        items: list[Json] = json.loads(self.run("get", "eventpipelines", "-o", "json"))["items"]
        return items

    def names(self, kind: str = "eventpipelines") -> set[str]:
        """Names of all objects of a kind."""
        return {line.split("/", 1)[1] for line in self.run("get", kind, "-o", "name").split()}

    def wait_for(self, name: str, kind: str, status: str, reason: str) -> str:
        """The message of a condition, once it has this status and reason."""

        def reached() -> Json | None:
            conditions = self.get(name).get("status", {}).get("conditions", [])
            found: Json = next((c for c in conditions if c["type"] == kind), {})
            wanted = (status, reason)
            return found if (found.get("status"), found.get("reason")) == wanted else None

        found = wait_for(f"{name}: {kind}={status} {reason}", reached)
        assert found
        message: str = found["message"]
        return message

    def delete(self, *names: str) -> None:
        """Ask for the end of objects, without waiting for it."""
        self.run("delete", "eventpipeline", *names, "--wait=false")

    def wait_until_gone(self, *names: str, seconds: float = 60.0) -> None:
        """Wait for the end of objects."""
        wait_for(f"the end of {names}", lambda: not self.names() & set(names), seconds=seconds)
