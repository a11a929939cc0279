"""A real Vault (dev mode, in memory) on 127.0.0.1 that trusts a test's API server."""

import re
import subprocess
from pathlib import Path
from typing import Any

import hvac

from servers.kubernetes import ISSUER, TOKEN, KubernetesServer
from servers.local import free_port, stop_process
from servers.waiting import wait_for

ROOT_TOKEN = "root-of-the-test"


class VaultServer:
    """One Vault; `client` is root's."""

    def __init__(self, directory: Path, logs: Path) -> None:
        self._directory = directory
        self._logs = logs
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def client(self) -> Any:
        """A client with root's token."""
        return hvac.Client(url=self.address, token=ROOT_TOKEN)

    def start(self) -> None:
        """Starts it and mounts kv version 2 at kv/."""
        with (self._logs / "vault.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._directory / "vault",
                    "server",
                    "-dev",
                    f"-dev-root-token-id={ROOT_TOKEN}",
                    f"-dev-listen-address=127.0.0.1:{self._port}",
                    f"-dev-plugin-dir={self._directory / 'plugins'}",
                    "-dev-no-store-token",
                ],
                stdout=log,
                stderr=log,
            )
        wait_for(f"Vault at {self.address}", self._initialized, seconds=60)
        self.client.sys.enable_secrets_engine("kv", path="kv", options={"version": "2"})

    def _initialized(self) -> bool:
        return bool(self.client.sys.is_initialized())

    def stop(self) -> None:
        """Stops it; what it held is gone."""
        if self._process:
            stop_process(self._process)
            self._process = None

    def audit(self, log: Path) -> None:
        """Writes every request to a file, a JSON line each."""
        self.client.sys.enable_audit_device("file", options={"file_path": str(log)})

    def seal(self) -> None:
        """What an operator of Vault does in an emergency: nobody gets anything."""
        self.client.sys.seal()

    def unseal(self) -> None:
        """Takes that back; the development server tells its key once, in its log."""
        if self.client.sys.is_sealed():
            said = (self._logs / "vault.log").read_text()
            self.client.sys.submit_unseal_key(re.findall(r"Unseal Key: (\S+)", said)[-1])

    def trust(self, kubernetes: KubernetesServer) -> None:
        """Enables auth/kubernetes, which asks the cluster, and auth/jwt, which knows its key."""
        client = self.client
        client.sys.enable_auth_method("kubernetes", path="kubernetes")
        client.auth.kubernetes.configure(
            kubernetes_host=kubernetes.url,
            kubernetes_ca_cert=kubernetes.authority.read_text(),
            token_reviewer_jwt=TOKEN,
            disable_local_ca_jwt=True,
        )
        client.sys.enable_auth_method("jwt", path="jwt")
        client.auth.jwt.configure(
            jwt_validation_pubkeys=[kubernetes.issuer_key], bound_issuer=ISSUER, path="jwt"
        )

    def allow(self, role: str, namespace: str, account: str, path: str, ttl: str = "10m") -> None:
        """A role, by either method, for one ServiceAccount that may read one kv path."""
        client = self.client
        policy = f'path "kv/data/{path}" {{ capabilities = ["read"] }}'
        client.sys.create_or_update_policy(role, policy)
        client.auth.jwt.create_role(
            role,
            "sub",
            [],
            bound_subject=f"system:serviceaccount:{namespace}:{account}",
            bound_audiences=["vault"],
            token_policies=[role],
            token_ttl=ttl,
            path="jwt",
        )
        client.auth.kubernetes.create_role(
            role,
            bound_service_account_names=[account],
            bound_service_account_namespaces=[namespace],
            audience="vault",
            policies=[role],
            ttl=ttl,
        )

    def write(self, path: str, **values: object) -> None:
        """A new version of a kv secret."""
        self.client.secrets.kv.v2.create_or_update_secret(
            path=path, secret=values, mount_point="kv"
        )
