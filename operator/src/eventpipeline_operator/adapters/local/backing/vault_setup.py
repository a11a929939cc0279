"""A Vault of this machine is brought to what the file says: mounts, values, roles, who may log in.

Each step leaves alone what is as it should be, so that all may be repeated at will.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eventpipeline_operator.adapters.local.backing.vault_contents import DatabaseRole
from eventpipeline_operator.api.types import Vault

DATABASE_PLUGIN = "postgresql-database-plugin"
# What a Vault that was built from packages has beside it, and an official one has inside.
PLUGINS = (("auth", "kubernetes"), ("database", DATABASE_PLUGIN))
POLICY = "local"
CREDENTIALS = "/creds/"
RULES = {
    "+/data/*": "read",
    "+/creds/*": "read",
    "sys/leases/renew": "update",
    "sys/leases/revoke": "update",
}


@dataclass(frozen=True)
class Login:
    """Who may log in as what."""

    mount: str
    role: str
    namespace: str
    account: str
    audiences: tuple[str, ...]

    @classmethod
    def of(cls, namespace: str, vault: Vault) -> "Login":
        """The login of an object."""
        return cls(vault.mount, vault.role, namespace, vault.service_account, vault.audiences)


def register_plugins(client: Any, directory: Path) -> None:
    """Make known what the catalog lacks or knows with another checksum."""
    catalog = client.read("sys/plugins/catalog")["data"]["detailed"]
    known = {(entry["type"], entry["name"]): entry for entry in catalog}
    for kind, name in PLUGINS:
        entry = known.get((kind, name), {})
        if entry.get("builtin"):
            continue
        checksum = hashlib.sha256((directory / name).read_bytes()).hexdigest()
        if entry.get("sha256") != checksum:
            data = {"sha256": checksum, "command": name}
            client.write_data(f"sys/plugins/catalog/{kind}/{name}", data=data)


def admit(client: Any, login: Login, reviewer: str) -> None:
    """Let one account log in, whose tokens are reviewed at that address."""
    if f"{login.mount}/" not in client.sys.list_auth_methods()["data"]:
        client.sys.enable_auth_method("kubernetes", path=login.mount)
    client.write_data(
        f"auth/{login.mount}/config",
        data={"kubernetes_host": reviewer, "disable_local_ca_jwt": True},
    )
    client.write_data(
        f"auth/{login.mount}/role/{login.role}",
        data={
            "bound_service_account_names": [login.account],
            "bound_service_account_namespaces": [login.namespace],
            "audience": next(iter(login.audiences), ""),
            "token_policies": [POLICY],
            "token_ttl": "1h",
            "token_max_ttl": "24h",
        },
    )


def allow(client: Any) -> None:
    """One policy for all: this is one person's Vault."""
    policy = {"path": {path: {"capabilities": [verb]} for path, verb in RULES.items()}}
    client.sys.create_or_update_policy(POLICY, policy)


def write_values(client: Any, kv: Mapping[str, Mapping[str, Any]]) -> None:
    """A new version of each secret that the file has changed; what it does not name stays."""
    for path, values in kv.items():
        mount, _, name = path.partition("/")
        _mount(client, mount, "kv", {"version": "2"})
        answer = client.read(f"{mount}/data/{name}")
        current = (answer["data"]["data"] if answer else None) or {}
        if current != values:
            client.write_data(f"{mount}/data/{name}", data={"data": dict(values)})


def configure_database(client: Any, path: str, role: DatabaseRole, url: str) -> None:
    """A role of the database engine; `url` is that of the database's owner."""
    mount, _, name = path.partition(CREDENTIALS)
    where = urlsplit(url)
    _mount(client, mount, "database", {})
    client.write_data(
        f"{mount}/config/{role.database}",
        data={
            "plugin_name": DATABASE_PLUGIN,
            "connection_url": "postgresql://{{username}}:{{password}}@"
            f"{where.hostname}:{where.port}{where.path}?sslmode=disable",
            "username": where.username,
            "password": where.password,
            "allowed_roles": ["*"],
            "max_open_connections": 2,
            "verify_connection": False,
        },
    )
    client.write_data(
        f"{mount}/roles/{name}",
        data={
            "db_name": role.database,
            "creation_statements": list(role.create),
            "renew_statements": list(role.renew),
            "revocation_statements": list(role.revoke),
            "default_ttl": f"{role.ttl:.0f}s",
            "max_ttl": f"{role.max_ttl:.0f}s",
        },
    )


def _mount(client: Any, name: str, kind: str, options: Mapping[str, str]) -> None:
    if f"{name}/" not in client.sys.list_mounted_secrets_engines()["data"]:
        client.sys.enable_secrets_engine(kind, path=name, options=dict(options) or None)
