"""Credentials that Vault makes in a real PostgreSQL, as the operator's process delivers them.

No kubelet runs: a pod that still uses old credentials is created from the Deployment's template.
"""

import base64
import json
from typing import Any

import psycopg2
import pytest

from servers.kafka import KafkaServer
from servers.kubernetes import KubernetesServer
from servers.kubernetes_operator import OperatorProcess
from servers.postgres import PostgresServer
from servers.vault import VaultServer
from servers.vault_database import VaultDatabase
from servers.waiting import wait_for

Json = dict[str, Any]

LONG = "10m"
SHORT = "24s"  # three tenths of it are the overlap
ROTATES_WITHIN = 60.0


class Shop:
    """A pipeline whose one service logs in to PostgreSQL."""

    def __init__(
        self, server: KubernetesServer, namespace: str, needed: dict[str, str], postgres: str
    ) -> None:
        self._server = server
        self._namespace = namespace
        self._needed = needed
        self._postgres = postgres

    def run(self, *arguments: str, stdin: tuple[object, ...] = ()) -> str:
        done = self._server.kubectl("-n", self._namespace, *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, path: str) -> None:
        self.run("create", "serviceaccount", "shop-vault")
        secret = {
            "name": "db",
            "vault": {"dynamic": {"path": path}},
            "env": {
                "DATABASE_URL": "postgresql://{username}:{password|urlencode}@" + self._postgres
            },
        }
        manifest = {
            "apiVersion": "eventpipeline.dev/v1alpha1",
            "kind": "EventPipeline",
            "metadata": {"name": "shop"},
            "spec": {
                "kafka": {"bootstrapServers": self._needed["kafka"]},
                "vault": {
                    "address": self._needed["vault"],
                    "auth": {
                        "kubernetes": {"role": self._namespace, "serviceAccount": "shop-vault"}
                    },
                },
                "secrets": [secret],
                "services": [
                    {"name": "order", "image": "order:1", "port": 8080, "secrets": ["db"]}
                ],
            },
        }
        self.run("apply", "-f", "-", stdin=(manifest,))

    def delivered(self) -> dict[str, str]:
        """The URL in each Secret of the entry."""
        items = json.loads(self.run("get", "secrets", "-o", "json"))["items"]
        return {
            item["metadata"]["name"]: base64.b64decode(item["data"]["DATABASE_URL"]).decode()
            for item in items
            if item["metadata"]["name"].startswith("shop-db-")
        }

    def wait_for_secret(self, *, other_than: str = "", seconds: float = 30.0) -> tuple[str, str]:
        """Name and URL of a Secret that has come."""

        def come() -> list[tuple[str, str]]:
            return [item for item in self.delivered().items() if item[0] != other_than]

        return wait_for("a Secret with credentials", come, seconds=seconds)[0]

    def start_pod(self, secret: str) -> None:
        """What the controllers make of the Deployment, as soon as that names the Secret."""

        def template() -> Json | None:
            text = self.run("get", "deployment", "shop-order", "-o", "json")
            found: Json = json.loads(text)["spec"]["template"]
            return found if secret in text else None

        made = wait_for("the Deployment", template)
        assert made
        labels = made["metadata"]["labels"]
        pod = {"metadata": {"name": "old", "labels": labels}, "spec": made["spec"]}
        self.run("apply", "-f", "-", stdin=({"apiVersion": "v1", "kind": "Pod", **pod},))

    def condition(self, kind: str) -> Json:
        live = json.loads(self.run("get", "eventpipeline", "shop", "-o", "json"))
        conditions: list[Json] = live.get("status", {}).get("conditions", [])
        return next((c for c in conditions if c["type"] == kind), {})


@pytest.fixture
def shop(
    kubernetes: KubernetesServer,
    namespace: str,
    kafka: KafkaServer,
    vault: VaultServer,
    postgres: PostgresServer,
) -> Shop:
    needed = {"kafka": kafka.bootstrap_servers, "vault": vault.address}
    return Shop(kubernetes, namespace, needed, f"127.0.0.1:{postgres.port}/postgres")


def log_in(url: str) -> str:
    """Who PostgreSQL says one is."""
    connection = psycopg2.connect(url, connect_timeout=5)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            ((found,),) = cursor.fetchall()
            return str(found)
    finally:
        connection.close()


def is_refused(url: str) -> bool:
    try:
        log_in(url)
    except psycopg2.OperationalError as error:
        return "does not exist" in str(error)
    return False


@pytest.mark.usefixtures("operator")
def test_the_delivered_user_can_log_in_and_ends_with_the_pipeline(
    shop: Shop, database: VaultDatabase, namespace: str
) -> None:
    database.allow(namespace, namespace, "shop-vault", LONG)
    shop.apply(database.path(namespace))
    _, url = shop.wait_for_secret()
    assert log_in(url).startswith("v-")
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        log_in(url.replace("@", "x@"))
    assert len(database.leases(namespace)) == 1
    shop.run("delete", "eventpipeline", "shop")
    wait_for("the lease to be revoked", lambda: not database.leases(namespace))
    assert is_refused(url)


@pytest.mark.parametrize("kill", [False, True], ids=["told to stop", "killed"])
def test_a_restarted_operator_goes_on_with_the_lease(
    shop: Shop, database: VaultDatabase, operator: OperatorProcess, namespace: str, *, kill: bool
) -> None:
    database.allow(namespace, namespace, "shop-vault", LONG)
    shop.apply(database.path(namespace))
    name, url = shop.wait_for_secret()
    wait_for("SecretsReady", lambda: shop.condition("SecretsReady").get("status") == "True")
    leases = database.leases(namespace)
    assert len(leases) == 1
    operator.stop(kill=kill)
    operator.start()
    operator.wait_until_leading()
    wait_for(
        "two passes after the restart",
        lambda: (operator.metric("reconcile_duration_seconds_count") or 0) >= 2,
    )
    assert database.leases(namespace) == leases
    assert shop.delivered() == {name: url}
    assert log_in(url)


@pytest.mark.usefixtures("operator")
def test_credentials_are_replaced_before_they_end_and_the_old_ones_live_until_nobody_uses_them(
    shop: Shop, database: VaultDatabase, namespace: str
) -> None:
    database.allow(namespace, namespace, "shop-vault", SHORT)
    shop.apply(database.path(namespace))
    old, old_url = shop.wait_for_secret()
    (old_lease,) = database.leases(namespace)
    shop.start_pod(old)
    _, new_url = shop.wait_for_secret(other_than=old, seconds=ROTATES_WITHIN)
    old_user = log_in(old_url)
    assert log_in(new_url) != old_user
    assert old in shop.delivered()
    shop.run("delete", "pod", "old", "--grace-period=0", "--force")
    wait_for("the old Secret to go", lambda: old not in shop.delivered())
    wait_for("its lease to go", lambda: old_lease not in database.leases(namespace))
    wait_for("its user to go", lambda: is_refused(old_url))


@pytest.mark.usefixtures("operator")
def test_the_role_of_another_team_is_refused(
    shop: Shop, database: VaultDatabase, namespace: str
) -> None:
    database.allow(namespace, namespace, "shop-vault", LONG)
    other = f"{namespace}-other"
    database.allow(other, other, "shop-vault", LONG)
    shop.apply(database.path(other))
    wait_for(
        "the refusal",
        lambda: shop.condition("SecretsReady").get("reason") == "VaultReadDenied",
    )
    assert database.path(other) in shop.condition("SecretsReady")["message"]
    assert not shop.delivered()
    assert not database.leases(other)
