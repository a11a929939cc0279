"""The whole operator with Kafka users: an object whose broker lets nobody do what it does not say.

A real API server and a broker that enforces ACLs; the operator is a process with the chart's
rights, and logs in to Kafka as the pipeline's client says.
"""

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from servers.certificate import Certificate
from servers.kafka import ADMIN, ADMIN_PASSWORD, KafkaServer
from servers.kubernetes_cluster import Cluster
from servers.kubernetes_operator import OperatorProcess
from servers.waiting import wait_for

Json = dict[str, Any]
CALLS = ("alter_users", "create_acls", "delete_acls")


def build_object(namespace: str, guarded: KafkaServer) -> Json:
    """A producer and a consumer of one topic."""
    return {
        "apiVersion": "eventpipeline.dev/v1alpha1",
        "kind": "EventPipeline",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {
            "kafka": {
                "bootstrapServers": guarded.secure_servers,
                "client": {
                    "tls": {"caSecret": "ca"},
                    "sasl": {"mechanism": "SCRAM-SHA-512", "secret": "operators"},
                },
                "users": {},
            },
            "topics": [{"name": "orders"}],
            "services": [
                {
                    "name": "order",
                    "image": "order:1",
                    "workers": [
                        {"name": "relay", "replicas": 1, "produces": ["orders"]},
                        {"name": "consumer", "replicas": 1, "consumes": ["orders"]},
                    ],
                }
            ],
        },
    }


class Scene:
    """One object, and what the broker knows."""

    def __init__(self, cluster: Cluster, guarded: KafkaServer, authority: str) -> None:
        self.cluster = cluster
        self._guarded = guarded
        self._authority = authority
        self.manifest = build_object(cluster.namespace, guarded)

    def user(self, worker: str) -> str:
        return f"{self.cluster.namespace}.shop.order.{worker}"

    def logins(self) -> dict[str, Json]:
        """Delivered Secrets by user."""
        found = {}
        for name in self.cluster.names("secrets"):
            if name.startswith("shop-kafka."):
                data = self.cluster.get("secret", name)["data"]
                login = {k: base64.b64decode(v).decode() for k, v in data.items()}
                found[login["KAFKA_SASL_USERNAME"]] = {"name": name, **login}
        return found

    def reaches(self, login: Mapping[str, str]) -> bool:
        """Whether the broker lets somebody in who describes the topic."""
        client = AdminClient(
            {
                "bootstrap.servers": self._guarded.secure_servers,
                "security.protocol": "SASL_SSL",
                "ssl.ca.location": self._authority,
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": login["KAFKA_SASL_USERNAME"],
                "sasl.password": login["KAFKA_SASL_PASSWORD"],
                "log_level": 0,
            }
        )
        try:
            topics = client.list_topics(timeout=3).topics
        except KafkaException:
            return False
        return f"{self.cluster.namespace}.shop.orders" in topics

    def told(self, workload: str) -> str:
        """Name of the Secret that a Deployment's pods log in with."""
        (container,) = self.cluster.get("deployment", f"shop-order-{workload}")["spec"]["template"][
            "spec"
        ]["containers"]
        env = {e["name"]: e for e in container["env"]}
        name: str = env["KAFKA_SASL_PASSWORD"]["valueFrom"]["secretKeyRef"]["name"]
        return name

    def become_ready(self) -> None:
        def ready() -> bool:
            self.cluster.finish_rollouts()
            return self.cluster.condition("Ready").get("status") == "True"

        wait_for("the object to be Ready", ready, seconds=60)


@pytest.fixture
def scene(
    cluster: Cluster, guarded: KafkaServer, certificate: Certificate, operator: OperatorProcess
) -> Scene:
    assert operator
    found = Scene(cluster, guarded, str(certificate.authority))
    cluster.run("create", "secret", "generic", "ca", f"--from-file={certificate.authority}")
    cluster.run(
        "create", "secret", "generic", "operators",
        f"--from-literal=username={ADMIN}", f"--from-literal=password={ADMIN_PASSWORD}",
    )  # fmt: skip
    cluster.apply(found.manifest)
    found.become_ready()
    return found


def changes(operator: OperatorProcess) -> float:
    """Calls to Kafka that change users or ACLs."""
    return sum(operator.metric("kafka_calls_total", call=call) or 0 for call in CALLS)


def test_workloads_are_told_a_login_that_the_broker_knows(
    scene: Scene, operator: OperatorProcess
) -> None:
    logins = scene.logins()
    assert set(logins) == {scene.user("relay"), scene.user("consumer")}
    assert scene.told("relay") == logins[scene.user("relay")]["name"]
    assert all(scene.reaches(login) for login in logins.values())
    assert "operators" not in scene.cluster.run("get", "deployments", "-o", "yaml")
    assert not [v for v in logins.values() if v["KAFKA_SASL_PASSWORD"] in operator.log]


def test_at_rest_nothing_is_written(scene: Scene, operator: OperatorProcess) -> None:
    def looks() -> float:
        return operator.metric("kafka_calls_total", call="describe_acls") or 0

    before, versions, seen = changes(operator), scene.cluster.versions(), looks()
    wait_for("two looks", lambda: looks() >= seen + 2)
    assert changes(operator) == before
    assert scene.cluster.versions() == versions


def test_a_lost_login_is_a_new_password_and_only_its_own_pods_roll(scene: Scene) -> None:
    relay, consumer = scene.user("relay"), scene.user("consumer")
    before = scene.logins()
    scene.cluster.run("delete", "secret", before[relay]["name"])
    wait_for("a new login", lambda: relay in scene.logins())
    after = scene.logins()
    wait_for("the pods to be told", lambda: scene.told("relay") == after[relay]["name"])
    assert scene.reaches(after[relay])
    assert not scene.reaches(before[relay])
    assert after[consumer] == before[consumer]


def test_users_go_with_their_worker_and_with_their_object(scene: Scene) -> None:
    relay, consumer = scene.user("relay"), scene.user("consumer")
    logins = scene.logins()
    scene.manifest["spec"]["services"][0]["workers"].pop()
    scene.cluster.apply(scene.manifest)
    wait_for("the user to go", lambda: not scene.reaches(logins[consumer]))
    assert set(scene.logins()) == {relay}
    assert scene.reaches(logins[relay])
    scene.cluster.run("delete", "eventpipeline", "shop", "--timeout=60s")
    assert not scene.reaches(logins[relay])
