"""Vault's database engine in front of the test's PostgreSQL: users that end with their leases."""

from typing import Any
from urllib.parse import urlsplit

import psycopg2
from hvac import exceptions as refused

from servers.postgres import BY_PASSWORD, OWNER
from servers.vault import VaultServer

PLUGIN = "postgresql-database-plugin"
CREATE = f"""CREATE ROLE "{{{{name}}}}" LOGIN PASSWORD '{{{{password}}}}'
VALID UNTIL '{{{{expiration}}}}' IN ROLE {BY_PASSWORD}"""
CREATE_GROUP = f"""DO $$ BEGIN CREATE ROLE {BY_PASSWORD};
EXCEPTION WHEN duplicate_object THEN NULL; END $$"""
RENEW_AND_REVOKE = """
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/revoke" { capabilities = ["update"] }
"""


class VaultDatabase:
    """One mount of the engine; every team has a role of its own on it."""

    def __init__(self, vault: VaultServer, url: str, mount: str) -> None:
        self._client: Any = vault.client
        self._url = url
        self._where = urlsplit(url).netloc.rpartition("@")[2] + urlsplit(url).path
        self._mount = mount

    def enable(self) -> None:
        """Mounts it and lets it log in to PostgreSQL, where its users need their passwords."""
        connection = psycopg2.connect(self._url)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(CREATE_GROUP)
        finally:
            connection.close()
        self._client.sys.enable_secrets_engine("database", path=self._mount)
        self._client.secrets.database.configure(
            name="main",
            plugin_name=PLUGIN,
            allowed_roles=["*"],
            connection_url=f"postgresql://{{{{username}}}}:{{{{password}}}}@{self._where}",
            username=OWNER,
            password="trusted anyway",
            mount_point=self._mount,
        )

    def disable(self) -> None:
        """Revokes all its leases and takes it away."""
        self._client.sys.disable_secrets_engine(self._mount)

    def path(self, role: str) -> str:
        """Where credentials of a role are made."""
        return f"{self._mount}/creds/{role}"

    def allow(self, role: str, namespace: str, account: str, life: str) -> None:
        """A role that makes users for `life` at most, for one ServiceAccount alone."""
        self._client.secrets.database.create_role(
            name=role,
            db_name="main",
            creation_statements=[CREATE],
            default_ttl=life,
            max_ttl=life,
            mount_point=self._mount,
        )
        readable = f'path "{self.path(role)}" {{ capabilities = ["read"] }}'
        self._client.sys.create_or_update_policy(role, readable + RENEW_AND_REVOKE)
        self._client.auth.kubernetes.create_role(
            role,
            bound_service_account_names=[account],
            bound_service_account_namespaces=[namespace],
            audience="vault",
            policies=[role],
            ttl="10m",
        )

    def leases(self, role: str) -> set[str]:
        """Leases of a role that live."""
        try:
            found = self._client.sys.list_leases(prefix=self.path(role))
        except refused.InvalidPath:
            return set()
        return set(found["data"]["keys"])
