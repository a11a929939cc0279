"""What a test sees and does of one namespace of a real API server, and a pipeline to try there.

No kubelet runs: where a rollout has to finish, the test plays the controllers by writing statuses.
"""

import json
from collections.abc import Sequence
from typing import Any

from servers.kafka import KafkaServer
from servers.kubernetes import OPERATOR_NAMESPACE, KubernetesServer
from servers.kubernetes_operator import OperatorProcess
from servers.vault import VaultServer
from servers.waiting import wait_for

Json = dict[str, Any]


class Cluster:
    """kubectl in one namespace."""

    def __init__(self, server: KubernetesServer, namespace: str) -> None:
        self._server = server
        self.namespace = namespace

    def run(self, *arguments: str, stdin: Sequence[object] = ()) -> str:
        done = self._server.kubectl("-n", self.namespace, *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, manifest: Json) -> None:
        self.run("apply", "-f", "-", stdin=[manifest])

    def get(self, kind: str, name: str) -> Json:
        found = self.run("get", kind, name, "-o", "json", "--ignore-not-found")
        loaded: Json = json.loads(found) if found.strip() else {}
        return loaded

    def names(self, kind: str) -> set[str]:
        return {line.split("/", 1)[1] for line in self.run("get", kind, "-o", "name").split()}

    def versions(self) -> dict[str, str]:
        """Resource versions of everything that the operator may write here."""
        kinds = (
            "eventpipelines,deployments,services,ingresses,jobs,secrets,configmaps,"
            "serviceaccounts,poddisruptionbudgets,networkpolicies,events"
        )
        items = json.loads(self.run("get", kinds, "-o", "json"))["items"]
        return {
            f"{i['kind']}/{i['metadata']['name']}": i["metadata"]["resourceVersion"] for i in items
        }

    def condition(self, kind: str) -> Json:
        status = self.get("eventpipeline", "shop").get("status", {})
        return next((c for c in status.get("conditions", []) if c["type"] == kind), {})

    def wait_for_condition(self, kind: str, status: str, reason: str) -> Json:
        def reached() -> Json | None:
            found = self.condition(kind)
            wanted = (status, reason)
            return found if (found.get("status"), found.get("reason")) == wanted else None

        found = wait_for(f"{kind}={status} {reason}", reached, seconds=30)
        assert found
        return found

    def told(self, kind: str, status: str) -> bool:
        """Whether the operator's journal ends with this result for the generation that is there."""
        shards = self._server.kubectl("-n", OPERATOR_NAMESPACE, "get", "configmaps", "-o", "json")
        maps = json.loads(shards.stdout)["items"]
        found = (m.get("data", {}).get(f"{self.namespace}.shop") for m in maps)
        journal: Json = next((json.loads(text) for text in found if text), {"generations": [{}]})
        last = journal["generations"][-1]
        results = [r["status"] for r in last.get("results", ()) if r["type"] == kind]
        generation = self.get("eventpipeline", "shop")["metadata"]["generation"]
        return last.get("generation") == generation and results[-1:] == [status]

    def wait_until_told(self, kind: str, status: str, operator: OperatorProcess) -> None:
        """Waits until the operator has written all that it has to say after a condition turned.

        A status can be seen before the pass that wrote it has ended: only when the journal tells
        of it, nothing to be written means that. What other objects left is written late, too.
        """
        wait_for(f"the journal to tell {kind}={status}", lambda: self.told(kind, status))
        wait_for("all records", lambda: operator.metric("records_pending") == 0)

    def finish_jobs(self) -> None:
        """What the Job controller does when the pod has succeeded."""
        moment = "2026-01-01T00:00:00Z"
        status = {
            "startTime": moment,
            "completionTime": moment,
            "succeeded": 1,
            "uncountedTerminatedPods": {},
            "conditions": [
                {"type": kind, "status": "True", "lastTransitionTime": moment}
                for kind in ("SuccessCriteriaMet", "Complete")
            ],
        }
        for name in self.names("jobs"):
            if not self.get("job", name).get("status", {}).get("succeeded"):
                self._patch_status("job", name, status)

    def finish_rollouts(self) -> None:
        """What the Deployment controller does when all pods are available."""
        for name in self.names("deployments"):
            live = self.get("deployment", name)
            replicas = live["spec"]["replicas"]
            counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
            status = {
                "observedGeneration": live["metadata"]["generation"],
                **dict.fromkeys(counts, replicas),
            }
            self._patch_status("deployment", name, status)

    def fail_job(self, name: str) -> None:
        """What the Job controller does when its pods have failed too often."""
        moment = "2026-01-01T00:00:00Z"
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": moment,
             "reason": "BackoffLimitExceeded", "message": "Job has failed too often"}
            for kind in ("FailureTarget", "Failed")
        ]  # fmt: skip
        self._patch_status(
            "job", name, {"startTime": moment, "failed": 1, "uncountedTerminatedPods": {},
                          "conditions": conditions},
        )  # fmt: skip

    def create_pod(self, deployment: str, status: Json) -> None:
        """A pod of a Deployment as the kubelet or the scheduler would leave it."""
        template = self.get("deployment", deployment)["spec"]["template"]
        name = f"{deployment}-1"
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": template["metadata"]["labels"]},
            "spec": {"containers": [{"name": "main", "image": "page:1"}]},
        }
        self.run("apply", "-f", "-", stdin=[pod])
        self._patch_status("pod", name, status)

    def refuse_rollout(self, deployment: str, condition: Json) -> None:
        """What the Deployment controller writes when it gets no further."""
        self._patch_status("deployment", deployment, {"conditions": [condition]})

    def _patch_status(self, kind: str, name: str, status: Json) -> None:
        patch = json.dumps({"status": status})
        self.run("patch", kind, name, "--subresource=status", "--type=merge", "-p", patch)


def build_shop(namespace: str, kafka: KafkaServer, vault: VaultServer) -> Json:
    """A pipeline with every part: topics, a secret, a migration, workers, an Ingress."""
    return {
        "apiVersion": "eventpipeline.dev/v1alpha1",
        "kind": "EventPipeline",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {
            "kafka": {"bootstrapServers": kafka.bootstrap_servers},
            "vault": {
                "address": vault.address,
                "auth": {"kubernetes": {"role": namespace, "serviceAccount": "shop-vault"}},
            },
            "ingress": {"host": "shop.localhost"},
            "networkPolicy": {"ingressFrom": [{"namespace": "ingress"}], "egress": ["db:5432"]},
            "topics": [{"name": "orders", "partitions": 2, "config": {"retention.ms": -1}}],
            "secrets": [
                {
                    "name": "db",
                    "vault": {"kv": {"path": namespace}},
                    "env": {"DATABASE_URL": "postgresql://{USER}:{PASSWORD|urlencode}@db/orders"},
                }
            ],
            "services": [
                {
                    "name": "order",
                    "image": "order:1",
                    "port": 8080,
                    "path": "/api",
                    "replicas": 2,
                    "secrets": ["db"],
                    "migrate": {"args": ["migrate"]},
                    "workers": [{"name": "consumer", "args": ["consume"], "consumes": ["orders"]}],
                },
                {"name": "page", "image": "page:1", "port": 80},
            ],
        },
    }
