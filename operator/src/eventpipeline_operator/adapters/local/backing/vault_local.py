"""The VaultPort on a real Vault of this machine, which is kept to what the file says.

The adapter is the operator's own, login and all; before each call the login is admitted and the
file's values and roles are written, where they have changed.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hvac import exceptions as refused

from eventpipeline_operator.adapters.local.backing.postgres_users import PostgresUsers
from eventpipeline_operator.adapters.local.backing.token_reviewer import TokenReviewer
from eventpipeline_operator.adapters.local.backing.vault_contents import Contents
from eventpipeline_operator.adapters.local.backing.vault_file import read_contents
from eventpipeline_operator.adapters.local.backing.vault_server import VaultServer
from eventpipeline_operator.adapters.local.backing.vault_setup import (
    Login,
    admit,
    allow,
    configure_database,
    register_plugins,
    write_values,
)
from eventpipeline_operator.adapters.vault import VaultAdapter
from eventpipeline_operator.adapters.vault_calls import VaultCalls, words_of
from eventpipeline_operator.adapters.vault_sessions import VaultSessions
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.errors import Stalled
from eventpipeline_operator.policies.leases import Term
from eventpipeline_operator.reconcile.ports import Issued, KvValue, Safe, Session


@dataclass(frozen=True)
class Written:
    """What was last brought to Vault."""

    contents: Contents
    urls: tuple[str, ...] = field(repr=False)


class LocalVault:
    """One server for all pipelines of this machine; `url` gives the Postgres owner's URLs."""

    name = "vault"

    def __init__(
        self,
        server: VaultServer,
        contents: Path,
        url: Callable[[str], str],
        safe: Safe,
        clock: Callable[[], float],
    ) -> None:
        self._server = server
        self._file = contents
        self._url = url
        self._users = PostgresUsers(url)
        self._reviewer = TokenReviewer(clock)
        self._safe = safe
        self._clock = clock
        self._lock = asyncio.Lock()
        self._connect()

    @property
    def port(self) -> int:
        """Where the server listens."""
        return self._server.port

    @property
    def pid(self) -> int | None:
        """The server's process id, None while it does not run."""
        return self._server.pid

    async def start(self) -> None:
        """Start the server and whom it asks about tokens."""
        await self._reviewer.stop()
        await self._reviewer.start()
        await self._server.start()
        plugins = self._server.plugins
        await asyncio.to_thread(lambda: register_plugins(self._server.client(), plugins))
        self._connect()

    async def stop(self) -> None:
        """Stop both; what Vault holds stays."""
        await self._server.stop()
        await self._reviewer.stop()

    async def read_kv(
        self, namespace: str, vault: Vault, mount: str, path: str, version: int | None
    ) -> KvValue:
        """Read a kv v2 secret."""
        here = await self._here(namespace, vault)
        return await self._adapter.read_kv(namespace, here, mount, path, version)

    async def hold_session(self, namespace: str, vault: Vault) -> Session:
        """The session of a login, renewed or made anew when that is due."""
        return await self._adapter.hold_session(namespace, await self._here(namespace, vault))

    async def issue(self, namespace: str, vault: Vault, path: str) -> Issued:
        """Have credentials made, in a database that is made first."""
        here = await self._here(namespace, vault)
        role = read_contents(self._file).roles.get(path)
        if role is None:
            raise Stalled(
                Reason.CREDENTIALS_REFUSED,
                f"{self._file} has no role for {path}: write it there or correct spec.secrets",
            )
        await self._users.prepare(role.database)
        return await self._adapter.issue(namespace, here, path)

    async def renew(self, namespace: str, vault: Vault, lease: str, term: Term) -> Term | None:
        """Prolong a lease; None when Vault does not know it or will not."""
        here = await self._here(namespace, vault)
        return await self._adapter.renew(namespace, here, lease, term)

    async def revoke(self, namespace: str, vault: Vault, lease: str) -> None:
        """End a lease now; one that is gone is no failure."""
        await self._adapter.revoke(namespace, await self._here(namespace, vault), lease)

    async def abandon_session(self, namespace: str, vault: Vault, session: str) -> None:
        """Use a session no longer: the next one to hold is another."""
        here = await self._here(namespace, vault)
        await self._adapter.abandon_session(namespace, here, session)

    async def abandoned_sessions(self) -> Collection[str]:
        """Sessions that are used no longer and have not ended."""
        return await self._adapter.abandoned_sessions()

    async def end_session(self, session: str) -> None:
        """End an abandoned session now, and with it every lease that it has made."""
        await self._adapter.end_session(session)

    async def forget_ended(self) -> None:
        """Remove stored sessions whose end has passed; to be called from time to time."""
        await self._sessions.forget_ended()

    def _connect(self) -> None:
        """Everything that knows where the server listens, or what it was told, begins anew."""
        self._calls = _CallsTo(self._server)
        self._sessions = VaultSessions(self._calls, self._reviewer.token, self._safe, self._clock)
        self._adapter = VaultAdapter(self._calls, self._sessions, self._clock)
        self._written: Written | None = None
        self._admitted: set[Login] = set()

    async def _here(self, namespace: str, vault: Vault) -> Vault:
        """The object's login, as this server knows it, which holds what the file says."""
        here = replace(vault, method="kubernetes", namespace=None, ca_secret=None)
        login = Login.of(namespace, vault)
        async with self._lock:
            contents = read_contents(self._file)
            databases = sorted({role.database for role in contents.roles.values()})
            wanted = Written(contents, tuple(self._url(name) for name in databases))
            if wanted != self._written:
                await self._configure(here, lambda client: self._write(client, contents))
                self._written = wanted
            if login not in self._admitted:
                reviewer = self._reviewer.address
                await self._configure(here, lambda client: admit(client, login, reviewer))
                self._admitted.add(login)
        return here

    def _write(self, client: Any, contents: Contents) -> None:
        allow(client)
        write_values(client, contents.kv)
        for path, role in contents.roles.items():
            configure_database(client, path, role, self._url(role.database))

    async def _configure(self, vault: Vault, steps: Callable[[Any], None]) -> None:
        try:
            await self._calls.run("configure", vault, lambda: steps(self._server.client()))
        except refused.VaultError as error:
            raise Stalled(
                Reason.CREDENTIALS_REFUSED,
                f"the local Vault does not take what {self._file} says: {words_of(error)}",
            ) from None


class _CallsTo(VaultCalls):
    """Calls to one server, whatever address the objects have for it.

    Sessions and leases are known by that address: they survive a server that moves.
    """

    def __init__(self, server: VaultServer) -> None:
        super().__init__(_no_authority)
        self._server = server

    async def client(self, namespace: str, vault: Vault) -> Any:
        """A client without a token."""
        return await super().client(namespace, replace(vault, address=self._server.address))


async def _no_authority(namespace: str, name: str) -> str:
    """Nothing here speaks TLS."""
    del namespace, name
    return ""
