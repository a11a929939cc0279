"""The demo's Vault as its administrator sees it, through a forwarded port."""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hvac
from hvac import exceptions as refused

from servers.local import stop_process

CREDS = "database/creds"


class VaultAdmin:
    """What a test changes and asks with root's token."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def leases(self, role: str) -> set[str]:
        """Leases of a database role that live."""
        try:
            found = self._client.sys.list_leases(prefix=f"{CREDS}/{role}")
        except refused.InvalidPath:
            return set()
        return set(found["data"]["keys"])

    def read_kv(self, path: str) -> dict[str, str]:
        """The newest values of `MOUNT/PATH`."""
        mount, _, name = path.partition("/")
        values: dict[str, str] = self._client.read(f"{mount}/data/{name}")["data"]["data"]
        return values

    def write_kv(self, path: str, values: dict[str, str]) -> None:
        """A new version of `MOUNT/PATH`."""
        mount, _, name = path.partition("/")
        self._client.write_data(f"{mount}/data/{name}", data={"data": values})

    @contextmanager
    def brief_role(self, role: str, policy: str, life: str) -> Iterator[str]:
        """Another role for users like those of a role, who live for `life` at most."""
        name, config, rules = f"{role}-brief", f"database/config/{role}", self._rules(policy)
        made = self._client.read(f"database/roles/{role}")["data"]
        kept = ("db_name", "creation_statements", "revocation_statements")
        allowed = self._client.read(config)["data"]["allowed_roles"]
        self._client.write_data(config, data={"allowed_roles": [*allowed, name]})
        self._client.write_data(
            f"database/roles/{name}",
            data={**{key: made[key] for key in kept}, "default_ttl": life, "max_ttl": life},
        )
        readable = {f"{CREDS}/{name}": {"capabilities": ["read"]}}
        self._client.sys.create_or_update_policy(policy, {"path": {**rules, **readable}})
        yield name
        self._client.sys.create_or_update_policy(policy, {"path": rules})
        self._client.delete(f"database/roles/{name}")
        self._client.write_data(config, data={"allowed_roles": allowed})

    @contextmanager
    def team(self, name: str, account: str) -> Iterator[None]:
        """A team with a login role of its own, for one ServiceAccount of its namespace `name`."""
        self._client.write_data(f"kv/data/{name}", data={"data": {"GREETING": "hello"}})
        readable = {f"kv/data/{name}": {"capabilities": ["read"]}}
        self._client.sys.create_or_update_policy(name, {"path": readable})
        self._client.write_data(
            f"auth/kubernetes/role/{name}",
            data={
                "bound_service_account_names": [account],
                "bound_service_account_namespaces": [name],
                "audience": "vault",
                "token_policies": [name],
            },
        )
        yield
        self._client.delete(f"auth/kubernetes/role/{name}")
        self._client.sys.delete_policy(name)
        self._client.delete(f"kv/metadata/{name}")

    def _rules(self, policy: str) -> dict[str, Any]:
        stored = json.loads(self._client.sys.read_policy(policy)["data"]["rules"])
        rules: dict[str, Any] = stored["path"]
        return rules


@contextmanager
def administrate(cluster: Any) -> Iterator[VaultAdmin]:
    """Root's view, for as long as a port is forwarded."""
    keys = cluster.get("secret", "vault-demo-keys", "platform")["data"]
    token = base64.b64decode(keys["root-token"]).decode()
    forward = cluster.start("-n", "platform", "port-forward", "service/vault", ":8200")
    try:
        said = forward.stdout.readline().decode()
        port = re.search(r"127\.0\.0\.1:(\d+)", said)
        assert port, f"kubectl port-forward said {said!r}"
        yield VaultAdmin(hvac.Client(url=f"http://127.0.0.1:{port[1]}", token=token))
    finally:
        stop_process(forward)
