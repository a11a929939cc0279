"""Initialises, unseals and configures the demo's Vault.

Runs as a Job beside each installation and each upgrade that changes what Vault should hold. Every
step brings one thing to what /config/bootstrap.json says and may be repeated at will, so the whole
is simply tried again until it went through: Vault, Postgres and this Job all start at once.
"""

import base64
import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import hvac
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config

LOG = logging.getLogger("bootstrap_vault")
KEYS_SECRET = "vault-demo-keys"  # noqa: S105  a name, not a secret
DEADLINE_SECONDS = 600.0
PAUSE_SECONDS = 0.5
DATABASE_PLUGIN = "postgresql-database-plugin"
# What an image built from packages carries as files, and an official one has inside.
PLUGINS = (("auth", "kubernetes"), ("database", DATABASE_PLUGIN))
# A revoked user loses its sessions too.
REVOCATION_STATEMENTS = [
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{{name}}'",
    'DROP ROLE IF EXISTS "{{name}}"',
]


class KeysLostError(Exception):
    """Vault is initialised, but nobody knows its keys: no retry can help."""


@dataclass(frozen=True)
class Keys:
    """What initialisation gives out, once."""

    unseal_key: str
    root_token: str


class KeyStore(Protocol):
    """Where the keys outlive this Job."""

    def load(self) -> Keys | None:
        """Return the stored keys, None before there are any."""

    def save(self, keys: Keys | None) -> None:
        """Store the keys; None makes sure, before there are any, that storing is possible."""


class SecretKeyStore:
    """The keys in a Secret of this namespace: right for a demo, and for nothing else."""

    def __init__(self, api: Any, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    def load(self) -> Keys | None:
        """Read the Secret."""
        try:
            data = self._api.read_namespaced_secret(KEYS_SECRET, self._namespace).data or {}
        except kubernetes_client.ApiException as error:
            if error.status == 404:
                return None
            raise
        values = {key: base64.b64decode(value).decode() for key, value in data.items()}
        if not values:
            return None
        return Keys(unseal_key=values["unseal-key"], root_token=values["root-token"])

    def save(self, keys: Keys | None) -> None:
        """Write the Secret; without keys, leave one that is there alone."""
        values = {"unseal-key": keys.unseal_key, "root-token": keys.root_token} if keys else {}
        secret = {
            "metadata": {
                "name": KEYS_SECRET,
                "labels": {"app.kubernetes.io/part-of": "eventpipeline-platform"},
                "annotations": {
                    "eventpipeline.dev/demo-only": "true",
                    "eventpipeline.dev/note": "A real Vault keeps its keys outside the cluster.",
                },
            },
            "stringData": values,
        }
        try:
            self._api.create_namespaced_secret(self._namespace, secret)
        except kubernetes_client.ApiException as error:
            if error.status != 409:
                raise
            if keys:
                self._api.replace_namespaced_secret(KEYS_SECRET, self._namespace, secret)


@dataclass(frozen=True)
class Inputs:
    """What Vault is to hold: the chart's values, and the credentials that the chart generated."""

    config: dict[str, Any]
    kv: dict[str, str]
    postgres: dict[str, str]
    checksums: dict[str, str]


def read_inputs(config: Path, credentials: Path, checksums: Path) -> Inputs:
    """Read the mounted files."""

    def read_directory(path: Path) -> dict[str, str]:
        files = sorted(path.iterdir()) if path.is_dir() else []
        return {file.name: file.read_text() for file in files if not file.name.startswith(".")}

    lines = checksums.read_text().splitlines()
    return Inputs(
        config=json.loads(config.read_text()),
        kv=read_directory(credentials / "kv"),
        postgres=read_directory(credentials / "postgres"),
        checksums={name: checksum for checksum, name in (line.split(maxsplit=1) for line in lines)},
    )


def open_vault(vault: Any, store: KeyStore) -> None:
    """Leave Vault initialised and unsealed, and the client with a token that may do anything."""
    keys = store.load()
    if not vault.sys.is_initialized():
        store.save(None)  # refuses now, if it refuses, and not when the keys exist only here
        answer = vault.sys.initialize(secret_shares=1, secret_threshold=1)
        keys = Keys(unseal_key=answer["keys_base64"][0], root_token=answer["root_token"])
        fresh = keys
        attempt_until_done(lambda: store.save(fresh), time.monotonic() + DEADLINE_SECONDS)
        LOG.info("initialised; the keys lie in Secret %s (demo only)", KEYS_SECRET)
    if keys is None:
        raise KeysLostError(
            f"Vault is initialised but Secret {KEYS_SECRET} holds no keys. Start it anew: delete "
            "the PersistentVolumeClaim data-vault-0 and the pod vault-0, then this Job's pod."
        )
    if vault.sys.is_sealed():
        vault.sys.submit_unseal_key(keys.unseal_key)
        LOG.info("unsealed")
    vault.token = keys.root_token


def register_plugins(vault: Any, checksums: dict[str, str]) -> None:
    """Make known what the catalog lacks, or knows with the checksum of an older image."""
    catalog = vault.read("sys/plugins/catalog")["data"]["detailed"]
    known = {(entry["type"], entry["name"]): entry for entry in catalog}
    for kind, name in PLUGINS:
        entry = known.get((kind, name), {})
        if entry.get("builtin") or (entry and entry.get("sha256") == checksums.get(name)):
            continue
        if name not in checksums:
            raise RuntimeError(f"plugin {name} is neither built into this Vault nor in its image")
        vault.write_data(
            f"sys/plugins/catalog/{kind}/{name}",
            data={"sha256": checksums[name], "command": name},
        )
        if entry:
            vault.write_data(f"sys/plugins/reload/{kind}/{name}", data={})
        LOG.info("registered plugin %s", name)


def configure_login(vault: Any, cluster: dict[str, Any]) -> None:
    """Let ServiceAccounts of this cluster log in."""
    if "kubernetes/" not in vault.sys.list_auth_methods()["data"]:
        vault.sys.enable_auth_method("kubernetes")
        LOG.info("enabled auth/kubernetes")
    # Vault reviews tokens as its own ServiceAccount and reads that token and the CA from its pod.
    vault.write_data("auth/kubernetes/config", data=cluster)


def configure_role(vault: Any, role: dict[str, Any], kv: dict[str, str]) -> None:
    """Say which ServiceAccounts those are, and let them read what is theirs."""
    rules = {
        f"{kv['mount']}/data/{kv['path']}": ["read"],
        f"{kv['mount']}/metadata/{kv['path']}": ["read"],
        **{f"database/creds/{name}": ["read"] for name in role["databaseRoles"]},
        # After a rotation the old lease goes at once, not when it runs out.
        "sys/leases/revoke": ["update"],
    }
    policy = {"path": {path: {"capabilities": verbs} for path, verbs in rules.items()}}
    vault.sys.create_or_update_policy(role["name"], policy)
    vault.write_data(
        f"auth/kubernetes/role/{role['name']}",
        data={
            "bound_service_account_names": role["serviceAccounts"],
            "bound_service_account_namespaces": role["namespaces"],
            "audience": role["audience"],
            "token_policies": [role["name"]],
            "token_ttl": "1h",
            "token_max_ttl": "24h",
        },
    )
    LOG.info("role %s may log in", role["name"])


def configure_kv(vault: Any, kv: dict[str, str], wanted: dict[str, str]) -> None:
    """Keep the generated credentials right; leave other keys, and an unchanged version, alone."""
    mount, path = kv["mount"], kv["path"]
    if f"{mount}/" not in vault.sys.list_mounted_secrets_engines()["data"]:
        vault.sys.enable_secrets_engine("kv", path=mount, options={"version": "2"})
        LOG.info("enabled %s (kv v2)", mount)
    answer = vault.read(f"{mount}/data/{path}")
    current = (answer["data"]["data"] if answer else None) or {}
    if {**current, **wanted} != current:
        vault.write_data(f"{mount}/data/{path}", data={"data": {**current, **wanted}})
        LOG.info("wrote %s/%s: %s", mount, path, ", ".join(sorted(wanted)))


def configure_database(vault: Any, postgres: dict[str, Any], admin: dict[str, str]) -> None:
    """Connect the database engine, with two roles for each database: use and owner."""
    if "database/" not in vault.sys.list_mounted_secrets_engines()["data"]:
        vault.sys.enable_secrets_engine("database")
        LOG.info("enabled database")
    for database in postgres["databases"]:
        name, role = database["name"], database["role"]
        vault.write_data(
            f"database/config/{role}",
            data={
                "plugin_name": DATABASE_PLUGIN,
                "connection_url": "postgresql://{{username}}:{{password}}@"
                f"{postgres['host']}/{name}?sslmode=disable",
                "username": admin["username"],
                "password": admin["password"],
                "allowed_roles": [role, f"{role}-owner"],
                "max_open_connections": 2,
            },
        )
        for role_name, statements in build_creation_statements(name, role).items():
            vault.write_data(
                f"database/roles/{role_name}",
                data={
                    "db_name": role,
                    "creation_statements": statements,
                    "revocation_statements": REVOCATION_STATEMENTS,
                    "default_ttl": postgres["leases"]["default"],
                    "max_ttl": postgres["leases"]["max"],
                },
            )
        LOG.info("database %s: roles %s, %s-owner", name, role, role)


def build_creation_statements(database: str, role: str) -> dict[str, list[str]]:
    """SQL per role: a member of <database>_app, or one whose every session is the owner."""
    create = "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
    return {
        role: [f"{create} IN ROLE {database}_app"],
        # SET ROLE at login, so that whatever a migration makes belongs to the role that stays.
        f"{role}-owner": [
            f"{create} IN ROLE {database}_owner",
            f'ALTER ROLE "{{{{name}}}}" IN DATABASE {database} SET role TO {database}_owner',
        ],
    }


def bootstrap(vault: Any, store: KeyStore, inputs: Inputs) -> None:
    """Take every step; each leaves alone what is as it should be."""
    config = inputs.config
    databases = config["postgres"].get("databases", [])
    roles = [name for item in databases for name in (item["role"], f"{item['role']}-owner")]
    open_vault(vault, store)
    register_plugins(vault, inputs.checksums)
    configure_login(vault, config["cluster"])
    configure_role(vault, {**config["role"], "databaseRoles": roles}, config["kv"])
    configure_kv(vault, config["kv"], inputs.kv)
    if databases:
        configure_database(vault, config["postgres"], inputs.postgres)


def attempt_until_done(work: Callable[[], None], deadline: float) -> None:
    """Repeat until it goes through; say each new reason once, raise the last at the deadline."""
    reason = ""
    while True:
        try:
            return work()
        except KeysLostError:
            raise
        except Exception as error:
            if time.monotonic() > deadline:
                raise
            if reason != (reason := f"{type(error).__name__}: {error}"):
                LOG.info("not yet: %s", reason)
            time.sleep(PAUSE_SECONDS)


def main() -> None:
    """Configure Vault with what is mounted."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    inputs = read_inputs(
        Path("/config/bootstrap.json"), Path("/credentials"), Path("/plugins/checksums")
    )
    kubernetes_config.load_incluster_config()  # type: ignore[no-untyped-call]
    store = SecretKeyStore(kubernetes_client.CoreV1Api(), os.environ["NAMESPACE"])
    vault = hvac.Client(url=inputs.config["address"], timeout=30)
    attempt_until_done(lambda: bootstrap(vault, store, inputs), time.monotonic() + DEADLINE_SECONDS)
    LOG.info("done")


if __name__ == "__main__":
    main()
