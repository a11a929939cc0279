"""Credentials in the real cluster: whose they are, and who is refused."""

from typing import Any

import pytest

from e2e.vaults import VaultAdmin
from servers.waiting import wait_for

Json = dict[str, Any]


def greeter(namespace: str, role: str, path: str) -> Json:
    """A pipeline that needs one kv secret and nothing else."""
    login = {"role": role, "serviceAccount": "shop-vault"}
    return {
        "apiVersion": "eventpipeline.dev/v1alpha1",
        "kind": "EventPipeline",
        "metadata": {"name": "greeter", "namespace": namespace},
        "spec": {
            "kafka": {"bootstrapServers": "kafka.platform.svc:9092"},
            "vault": {
                "address": "http://vault.platform.svc:8200",
                "auth": {"kubernetes": login},
            },
            "secrets": [
                {
                    "name": "greeting",
                    "vault": {"kv": {"mount": "kv", "path": path}},
                    "env": {"GREETING": "{GREETING}"},
                }
            ],
        },
    }


@pytest.mark.parametrize("database", ["orders", "stock", "email"])
def test_a_service_uses_its_tables_as_a_user_of_vaults_and_owns_none(
    cluster: Any, database: str
) -> None:
    sessions = "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = current_database()"
    services = f"{sessions} AND usename NOT IN ('vault', 'postgres')"
    users = wait_for("sessions of the service", lambda: cluster.ask_postgres(database, services))
    assert all(user.startswith("v-") for user in users)
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert cluster.ask_postgres(database, owners) == [f"{database}_owner"]
    for user in users:
        for role in (f"{database}_owner", "pg_signal_backend"):
            member = f"SELECT pg_has_role('{user}', '{role}', 'MEMBER')"
            assert cluster.ask_postgres(database, member) == ["f"]


def test_a_pipeline_logs_in_as_its_own_service_account(
    cluster: Any, vault_admin: VaultAdmin, namespace: str
) -> None:
    cluster.run("-n", namespace, "create", "serviceaccount", "shop-vault")
    with vault_admin.team(namespace, "shop-vault"):
        cluster.apply(greeter(namespace, namespace, namespace))
        cluster.run(
            *("-n", namespace, "wait", "--for=condition=Ready", "--timeout=60s"),
            "eventpipeline/greeter",
        )
        secrets = {name for name in cluster.names("secrets", namespace) if "greeting" in name}
        assert len(secrets) == 1


def test_the_login_role_of_another_team_is_refused(
    cluster: Any, vault_admin: VaultAdmin, namespace: str
) -> None:
    """Not even under the name of its ServiceAccount."""
    cluster.run("-n", namespace, "create", "serviceaccount", "shop-vault")
    before = vault_admin.leases("order")
    cluster.apply(greeter(namespace, "shop", "shop"))
    refused = wait_for_reason(cluster, namespace, "VaultLoginDenied")
    assert "refuses role shop" in refused
    assert f"ServiceAccount {namespace}/shop-vault" in refused
    assert "spec.vault.auth" in refused
    assert cluster.names("secrets", namespace) == set()
    assert vault_admin.leases("order") == before


def test_the_secrets_of_another_team_are_refused(
    cluster: Any, vault_admin: VaultAdmin, namespace: str
) -> None:
    cluster.run("-n", namespace, "create", "serviceaccount", "shop-vault")
    with vault_admin.team(namespace, "shop-vault"):
        cluster.apply(greeter(namespace, namespace, "shop"))
        refused = wait_for_reason(cluster, namespace, "VaultReadDenied")
    assert f"role {namespace} may not read kv/data/shop" in refused
    assert cluster.names("secrets", namespace) == set()


def wait_for_reason(cluster: Any, namespace: str, reason: str) -> str:
    """The message that comes with a reason of SecretsReady; Ready must be False with it."""

    def seen() -> str:
        condition = cluster.condition("eventpipeline", "greeter", namespace, "SecretsReady")
        assert condition["reason"] == reason, condition
        message: str = condition["message"]
        return message

    message = wait_for(f"SecretsReady to say {reason}", seen)
    ready = cluster.condition("eventpipeline", "greeter", namespace, "Ready")
    assert ready["status"] == "False"
    return message
