"""The VaultReader port on hvac.

A login uses a token of the pipeline's own ServiceAccount; one session per (address, Vault
namespace, mount, role, namespace, ServiceAccount), made once for all who ask at the same time,
renewed at two thirds of its life. hvac blocks, so calls run in a small pool of threads.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import hvac
import requests
import structlog
from hvac import exceptions as refused

from eventpipeline_operator.adapters.metrics import VAULT_CALLS
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.errors import ReconcileError, Retryable, Stalled
from eventpipeline_operator.reconcile.ports import KvValue

log = structlog.get_logger()

T = TypeVar("T")
TokenSource = Callable[[str, str, tuple[str, ...]], Awaitable[str]]
CaSource = Callable[[str, str], Awaitable[str]]

POOL = 8
TIMEOUT_SECONDS = 10
RENEW_AT = 2 / 3
LEAST_LIFE = 5.0


@dataclass(frozen=True)
class _Login:
    """Whose session it is."""

    address: str
    vault_namespace: str | None
    mount: str
    role: str
    namespace: str
    service_account: str


@dataclass
class _Session:
    """A client with a token, and until when."""

    client: hvac.Client
    issued: float
    life: float
    renewable: bool


@dataclass
class _Slot:
    """Where the session of a login is kept; the lock makes logins single-flight."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    session: _Session | None = None


class VaultAdapter:
    """Reads kv secrets of all Vaults that pipelines name."""

    def __init__(
        self,
        tokens: TokenSource,
        authorities: CaSource,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._authorities = authorities
        self._clock = clock
        self._pool = ThreadPoolExecutor(POOL, thread_name_prefix="vault")
        self._slots: dict[_Login, _Slot] = {}
        self._bundles: dict[str, Path] = {}

    async def read_kv(
        self, namespace: str, vault: Vault, mount: str, path: str, version: int | None
    ) -> KvValue:
        """Read a kv v2 secret; a token that Vault no longer knows is replaced once."""
        session = await self._session(namespace, vault)
        try:
            return await self._read(session, vault, mount, path, version)
        except refused.Forbidden:
            fresh = await self._session(namespace, vault, instead_of=session)
        try:
            return await self._read(fresh, vault, mount, path, version)
        except refused.Forbidden as error:
            raise Stalled(
                Reason.VAULT_READ_DENIED,
                f"Vault role {vault.role} may not read {mount}/data/{path}: allow it in a policy "
                "of the role",
            ) from error

    async def _read(
        self, session: _Session, vault: Vault, mount: str, path: str, version: int | None
    ) -> KvValue:
        def call() -> Any:
            return session.client.secrets.kv.v2.read_secret_version(
                path=path, version=version, mount_point=mount, raise_on_deleted_version=True
            )

        try:
            answer = await self._call("read", vault, call)
        except refused.InvalidPath as error:
            raise Stalled(
                Reason.SECRET_NOT_FOUND,
                f"Vault has no secret {mount}/{path}"
                + (f" version {version}" if version else "")
                + f" at {vault.address}: write it or correct spec.secrets",
            ) from error
        data = answer["data"]
        return KvValue(data["data"], str(data["metadata"]["version"]))

    async def _session(
        self, namespace: str, vault: Vault, instead_of: _Session | None = None
    ) -> _Session:
        login = _Login(
            vault.address, vault.namespace, vault.mount, vault.role, namespace,
            vault.service_account,
        )  # fmt: skip
        slot = self._slots.setdefault(login, _Slot())
        async with slot.lock:
            session = slot.session
            if session is not None and session is not instead_of:
                age = self._clock() - session.issued
                if age < session.life * RENEW_AT:
                    return session
                if await self._renewed(session, vault):
                    return session
            slot.session = await self._login(namespace, vault)
            return slot.session

    async def _login(self, namespace: str, vault: Vault) -> _Session:
        client = await self._client(namespace, vault)
        jwt = await self._tokens(namespace, vault.service_account, vault.audiences)

        def call() -> Any:
            return client.auth.kubernetes.login(
                role=vault.role, jwt=jwt, mount_point=vault.mount, use_token=True
            )

        try:
            auth = (await self._call("login", vault, call))["auth"]
        except (refused.Forbidden, refused.InvalidRequest, refused.InvalidPath) as error:
            raise Stalled(
                Reason.VAULT_LOGIN_DENIED,
                f"Vault at {vault.address} refuses role {vault.role} (auth/{vault.mount}) to "
                f"ServiceAccount {namespace}/{vault.service_account}: {_words(error)}: correct "
                "spec.vault.auth or bind the role to that ServiceAccount and audience",
            ) from error
        log.info("vault login", role=vault.role, service_account=vault.service_account)
        life = float(auth["lease_duration"] or 3600)
        return _Session(client, self._clock(), max(life, LEAST_LIFE), bool(auth["renewable"]))

    async def _renewed(self, session: _Session, vault: Vault) -> bool:
        if not session.renewable or self._clock() - session.issued >= session.life:
            return False
        try:
            answer = await self._call("renew", vault, session.client.auth.token.renew_self)
        except (refused.VaultError, ReconcileError):
            return False
        session.issued = self._clock()
        session.life = max(float(answer["auth"]["lease_duration"]), LEAST_LIFE)
        return True

    async def _client(self, namespace: str, vault: Vault) -> hvac.Client:
        verify: bool | str = True
        if vault.ca_secret:
            verify = self._bundle(await self._authorities(namespace, vault.ca_secret))
        return hvac.Client(
            url=vault.address, namespace=vault.namespace, verify=verify, timeout=TIMEOUT_SECONDS
        )

    def _bundle(self, pem: str) -> str:
        """Requests takes authorities only from a file."""
        if pem not in self._bundles:
            with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
                file.write(pem)
            self._bundles[pem] = Path(file.name)
        return str(self._bundles[pem])

    async def _call(self, name: str, vault: Vault, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._pool, call)
        except refused.VaultDown as error:
            VAULT_CALLS.labels(call=name, outcome="sealed").inc()
            raise Retryable(
                Reason.VAULT_SEALED, f"Vault at {vault.address} is sealed: unseal it"
            ) from error
        except (
            refused.InternalServerError,
            refused.BadGateway,
            refused.RateLimitExceeded,
        ) as error:
            VAULT_CALLS.labels(call=name, outcome="failed").inc()
            raise Retryable(
                Reason.VAULT_UNAVAILABLE, f"Vault at {vault.address} fails: {_words(error)}"
            ) from error
        except refused.VaultError:
            VAULT_CALLS.labels(call=name, outcome="refused").inc()
            raise
        except requests.RequestException as error:
            VAULT_CALLS.labels(call=name, outcome="unreachable").inc()
            raise Retryable(
                Reason.VAULT_UNAVAILABLE,
                f"Vault at {vault.address} does not answer ({type(error).__name__}): check "
                "spec.vault.address and that Vault runs",
            ) from error
        VAULT_CALLS.labels(call=name, outcome="ok").inc()
        return answer


def _words(error: refused.VaultError) -> str:
    return ", ".join(str(e) for e in error.errors or ()) or type(error).__name__
