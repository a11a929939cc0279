"""A real Vault on 127.0.0.1 that keeps what it holds: made, opened and opened again with its keys.

The keys lie beside it, for its person alone to read: right on one's own machine, nowhere else.
"""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hvac
import requests
from hvac import exceptions as refused

from eventpipeline_operator.adapters.local.backing.errors import BackingError
from eventpipeline_operator.adapters.local.backing.ports import HOST, choose_port
from eventpipeline_operator.adapters.local.backing.process import BackingServer, ServerProcess
from eventpipeline_operator.adapters.local.files import read_json, write_private

PORT = 8200
READY_SECONDS = 60.0
CALL_SECONDS = 10
CONFIGURATION = """\
storage "raft" {{
  path = "{data}"
  node_id = "local"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "{host}:{port}"
  cluster_address = "{host}:{cluster}"
  tls_disable = true
}}
api_addr = "http://{host}:{port}"
# Raft remembers this address, which nobody else ever asks.
cluster_addr = "http://{host}:8201"
plugin_directory = "{plugins}"
disable_mlock = true
"""


class VaultServer(BackingServer):
    """One server; `client` has all rights."""

    name = "vault"
    stop_seconds = 15.0

    def __init__(self, programs: Path, directory: Path, port: int = PORT) -> None:
        # Politely also when we are killed: its plugins are processes that it has to end.
        log = directory / "vault.log"
        super().__init__(ServerProcess("Vault", log, orphaned=signal.SIGTERM))
        self.plugins = programs / "plugins"
        self._programs = programs
        self._directory = directory
        self._keys = directory / "keys.json"
        self.port = port

    @property
    def address(self) -> str:
        """Where clients find it, true once it has been started."""
        return f"http://{HOST}:{self.port}"

    def client(self) -> Any:
        """A client that may do everything."""
        token = read_json(self._keys).get("root_token")
        return hvac.Client(url=self.address, token=token, timeout=CALL_SECONDS)

    async def start(self) -> None:
        """Start it, initialise it before the first time, unseal it, wait until it serves."""
        self._prepare()
        configuration = self._directory / "vault.hcl"
        command = (self._programs / "vault", "server", f"-config={configuration}")
        await self._process.start(command)
        await self._process.wait_until(self._listens, READY_SECONDS)
        await asyncio.to_thread(self._open)
        await self._process.wait_until(self._serves, READY_SECONDS)

    def _prepare(self) -> None:
        data = self._directory / "data"
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        self.port = choose_port(self.port)
        text = CONFIGURATION.format(
            data=data,
            host=HOST,
            port=self.port,
            cluster=choose_port(self.port + 1, but_not=(self.port,)),
            plugins=self.plugins,
        )
        (self._directory / "vault.hcl").write_text(text)

    def _open(self) -> None:
        client = self.client()
        if not client.sys.is_initialized():
            # Refuses now, if it refuses, and not when there are keys.
            write_private(self._keys, "{}")
            made = client.sys.initialize(secret_shares=1, secret_threshold=1)
            keys = {"unseal_key": made["keys_base64"][0], "root_token": made["root_token"]}
            write_private(self._keys, json.dumps(keys))
        keys = read_json(self._keys)
        if "unseal_key" not in keys:
            raise BackingError(
                f"the Vault in {self._directory} is initialised, but its keys are not in "
                f"{self._keys}: put them back, or remove the directory to begin anew"
            )
        if client.sys.is_sealed():
            client.sys.submit_unseal_key(keys["unseal_key"])

    async def _listens(self) -> bool:
        return await asyncio.to_thread(self._says, lambda client: [client.sys.is_initialized()])

    async def _serves(self) -> bool:
        return await asyncio.to_thread(self._says, lambda client: client.sys.list_auth_methods())

    def _says(self, ask: Callable[[Any], object]) -> bool:
        try:
            return bool(ask(self.client()))
        except (requests.RequestException, refused.VaultError):
            return False
