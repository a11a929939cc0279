"""Logins to Vault: made once for all who ask, renewed, and kept over restarts.

Vault revokes leases with the token that made them, so a token is used as long as it lives, also
by the next operator; nothing revokes itself at shutdown. An abandoned session is the other side of
that: ending it ends leases that nobody knows of (reconcile/leases.py).
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import hvac
import structlog
from hvac import exceptions as refused

from eventpipeline_operator.adapters.vault_calls import VaultCalls, words_of
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.errors import Stalled
from eventpipeline_operator.policies.leases import Step, Term, evaluate_term
from eventpipeline_operator.reconcile.ports import Safe, Session

log = structlog.get_logger()

TokenSource = Callable[[str, str, tuple[str, ...]], Awaitable[str]]

PREFIX = "session."
ABANDONED = "abandoned."
LEAST_LIFE = 5.0
DEFAULT_LIFE = 3600.0


@dataclass(frozen=True)
class OpenSession:
    """A session with the client that carries its token."""

    session: Session
    client: hvac.Client = field(repr=False)


@dataclass
class _Slot:
    """Where the session of a login is kept; the lock makes logins single-flight."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    open: OpenSession | None = None
    loaded: bool = False


class VaultSessions:
    """The sessions of all logins."""

    def __init__(
        self, calls: VaultCalls, tokens: TokenSource, safe: Safe, clock: Callable[[], float]
    ) -> None:
        self._calls = calls
        self._tokens = tokens
        self._safe = safe
        self._clock = clock
        self._slots: dict[str, _Slot] = {}

    async def hold(self, namespace: str, vault: Vault) -> OpenSession:
        """The session of a login, renewed or made anew when that is due."""
        key = _key(namespace, vault)
        slot = self._slots.setdefault(key, _Slot())
        async with slot.lock:
            if not slot.loaded:
                slot.open, slot.loaded = await self._stored(key, namespace, vault), True
            current = await self._current(namespace, vault, slot.open)
            if current is not slot.open:
                await self._store(key, current)
                slot.open = current
            return current

    async def replace(
        self,
        namespace: str,
        vault: Vault,
        denied: OpenSession,
        attempt: Callable[[OpenSession], Awaitable[Any]],
    ) -> Any:
        """Try what was denied with a new login; kept if that helps or the old one is dead.

        A denial by policy must not cost the session: all its leases would end with it.
        """
        key = _key(namespace, vault)
        slot = self._slots.setdefault(key, _Slot())
        async with slot.lock:
            if slot.open is None or slot.open.session.id == denied.session.id:
                fresh = await self._login(namespace, vault)
                try:
                    answer = await attempt(fresh)
                except refused.Forbidden:
                    if slot.open and await self._lives(vault, slot.open):
                        await self._give_back(vault, fresh)
                    else:
                        slot.open = fresh
                        await self._store(key, fresh)
                    raise
                slot.open = fresh
                await self._store(key, fresh)
                return answer
            current = slot.open
        return await attempt(current)

    async def abandon(self, namespace: str, vault: Vault, session: str) -> None:
        """Let the next hold log in anew; the token is kept until the session is ended."""
        key = _key(namespace, vault)
        slot = self._slots.setdefault(key, _Slot())
        async with slot.lock:
            if not slot.loaded:
                slot.open, slot.loaded = await self._stored(key, namespace, vault), True
            if slot.open is None or slot.open.session.id != session:
                return
            owner = {"namespace": namespace, "vault": asdict(vault)}
            await self._safe.store(ABANDONED + session, {**_record(slot.open), **owner})
            await self._safe.store(key, None)
            slot.open = None
            log.info("session abandoned", role=vault.role)

    async def abandoned(self) -> list[str]:
        """Ids of all sessions that were abandoned and not ended."""
        return [key.removeprefix(ABANDONED) for key in await self._safe.keys(ABANDONED)]

    async def end(self, session: str) -> None:
        """Revoke an abandoned session's token, and with it all its leases."""
        record = await self._safe.load(ABANDONED + session)
        if record is None:
            return
        audiences = tuple(record["vault"]["audiences"])
        vault = Vault(**{**record["vault"], "audiences": audiences})
        client = await self._calls.client(record["namespace"], vault)
        client.token = record["token"]
        try:
            await self._calls.run("revoke-self", vault, client.auth.token.revoke_self)
        except refused.VaultError as error:  # it has ended by itself
            log.info("session had ended", error=type(error).__name__)
        await self._safe.store(ABANDONED + session, None)

    async def forget_ended(self) -> None:
        """Remove stored sessions whose end has passed."""
        for key in [*await self._safe.keys(PREFIX), *await self._safe.keys(ABANDONED)]:
            record = await self._safe.load(key)
            if record and Term(**record["term"]).ends_at <= self._clock():
                await self._safe.store(key, None)

    async def _current(
        self, namespace: str, vault: Vault, known: OpenSession | None
    ) -> OpenSession:
        if known:
            step = evaluate_term(known.session.term, self._clock())
            if step is Step.KEEP:
                return known
            renewed = await self._renewed(vault, known) if step is Step.RENEW else None
            if renewed:
                return renewed
        return await self._login(namespace, vault)

    async def _login(self, namespace: str, vault: Vault) -> OpenSession:
        client = await self._calls.client(namespace, vault)
        jwt = await self._tokens(namespace, vault.service_account, vault.audiences)
        now = self._clock()

        def call() -> Any:
            method = client.auth.jwt.jwt_login if vault.method == "jwt" else (
                client.auth.kubernetes.login
            )  # fmt: skip
            where = {"path" if vault.method == "jwt" else "mount_point": vault.mount}
            return method(role=vault.role, jwt=jwt, use_token=True, **where)

        try:
            auth = (await self._calls.run("login", vault, call))["auth"]
        except (refused.Forbidden, refused.InvalidRequest, refused.InvalidPath) as error:
            raise Stalled(
                Reason.VAULT_LOGIN_DENIED,
                f"Vault at {vault.address} refuses role {vault.role} (auth/{vault.mount}) to "
                f"ServiceAccount {namespace}/{vault.service_account}: {words_of(error)}: correct "
                "spec.vault.auth or bind the role to that ServiceAccount and audience",
            ) from error
        log.info("vault login", role=vault.role, service_account=vault.service_account)
        life = max(float(auth["lease_duration"] or DEFAULT_LIFE), LEAST_LIFE)
        term = Term(now, life, life, bool(auth["renewable"]), secrets.randbelow(1000) / 1000)
        return OpenSession(Session(secrets.token_hex(8), term), client)

    async def _renewed(self, vault: Vault, known: OpenSession) -> OpenSession | None:
        now = self._clock()
        try:
            answer = await self._calls.run("renew", vault, known.client.auth.token.renew_self)
        except refused.VaultError:
            return None
        life = max(float(answer["auth"]["lease_duration"]), LEAST_LIFE)
        term = replace(known.session.term, granted_at=now, seconds=life)
        return OpenSession(Session(known.session.id, term), known.client)

    async def _lives(self, vault: Vault, known: OpenSession) -> bool:
        try:
            await self._calls.run("lookup", vault, known.client.auth.token.lookup_self)
        except refused.VaultError:
            return False
        return True

    async def _give_back(self, vault: Vault, fresh: OpenSession) -> None:
        try:
            await self._calls.run("revoke-self", vault, fresh.client.auth.token.revoke_self)
        except refused.VaultError as error:
            log.info("token not given back", error=type(error).__name__)

    async def _stored(self, key: str, namespace: str, vault: Vault) -> OpenSession | None:
        record = await self._safe.load(key)
        if record is None:
            return None
        client = await self._calls.client(namespace, vault)
        client.token = record["token"]
        return OpenSession(Session(record["id"], Term(**record["term"])), client)

    async def _store(self, key: str, held: OpenSession) -> None:
        await self._safe.store(key, _record(held))


def _record(held: OpenSession) -> dict[str, Any]:
    term = asdict(held.session.term)
    return {"id": held.session.id, "token": held.client.token, "term": term}


def _key(namespace: str, vault: Vault) -> str:
    """Whose session it is."""
    login = [
        vault.address, vault.namespace, vault.method, vault.mount, vault.role, namespace,
        vault.service_account,
    ]  # fmt: skip
    return PREFIX + hashlib.sha256(json.dumps(login).encode()).hexdigest()[:32]
