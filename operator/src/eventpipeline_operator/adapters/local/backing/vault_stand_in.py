"""The VaultPort without a Vault: kv from a file that a person edits, users made in Postgres here.

For one person's machine: every login is let in and may read everything. What is given out is noted
before it is made (vault_ledger.py), so that whatever kills us, no user is left behind for ever.
"""

import asyncio
import json
import secrets
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path

import structlog

from eventpipeline_operator.adapters.local.backing.postgres_users import PostgresUsers
from eventpipeline_operator.adapters.local.backing.vault_contents import (
    DatabaseRole,
    fill_in,
)
from eventpipeline_operator.adapters.local.backing.vault_file import read_contents
from eventpipeline_operator.adapters.local.backing.vault_ledger import (
    HeldLease,
    Ledger,
    Versions,
    begin_session,
    keep_session,
    pack,
    prolong,
    unpack,
)
from eventpipeline_operator.adapters.local.files import read_json, write_private
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.errors import ReconcileError, Stalled, Unanswered
from eventpipeline_operator.policies.leases import Term
from eventpipeline_operator.reconcile.ports import Issued, KvValue, Session

log = structlog.get_logger()


class VaultStandIn:
    """One for all pipelines of this machine; `state` is a file of its own."""

    name = "vault (stand-in)"
    port = 0  # nobody reaches it over the network

    def __init__(
        self, contents: Path, state: Path, users: PostgresUsers, clock: Callable[[], float]
    ) -> None:
        self._file = contents
        self._state = state
        self._users = users
        self._clock = clock
        self._lock = asyncio.Lock()
        self._ledger = unpack(read_json(state))

    async def start(self) -> None:
        """Nothing runs; the file is looked at, so that a mistake shows at once."""
        read_contents(self._file)

    async def stop(self) -> None:
        """Nothing ran; what was given out lives on until its end."""

    async def read_kv(
        self, namespace: str, vault: Vault, mount: str, path: str, version: int | None
    ) -> KvValue:
        """Read a kv v2 secret; what changed in the file since the last time is a new version."""
        del namespace, vault
        where = f"{mount}/{path}"
        values = read_contents(self._file).kv.get(where)
        async with self._lock:
            versions = self._ledger.kv.get(where, Versions())
            if values is not None:
                versions = versions.observed(values)
                self._note(self._ledger.with_versions(where, versions))
            wanted = versions.newest if version is None else version
            found = versions.get(wanted) if values is not None else None
        if found is None:
            raise Stalled(
                Reason.SECRET_NOT_FOUND,
                f"{self._file} has no secret {where}"
                + (f" version {version}" if version else "")
                + ": write it there or correct spec.secrets",
            )
        return KvValue(found, str(wanted))

    async def hold_session(self, namespace: str, vault: Vault) -> Session:
        """The session of a login, renewed or made anew when that is due."""
        async with self._lock:
            return self._hold(namespace, vault)

    async def issue(self, namespace: str, vault: Vault, path: str) -> Issued:
        """Make a user of a database, and its lease."""
        role = read_contents(self._file).roles.get(path)
        if role is None:
            raise Stalled(
                Reason.CREDENTIALS_REFUSED,
                f"{self._file} has no role for {path}: write it there or correct spec.secrets",
            )
        async with self._lock:
            await self._users.prepare(role.database)
            session, now = self._hold(namespace, vault), self._clock()
            name = f"{path}/{secrets.token_hex(12)}"
            lease = _begin_lease(path, role, session.id, now)
            password = secrets.token_urlsafe(24)
            self._note(self._ledger.with_lease(name, lease))
            await self._make_user(name, lease, role, password)
        log.info("local user made", path=path)
        values = {"username": lease.user, "password": password}
        life = lease.ends_at - now
        term = Term(now, life, life, True, secrets.randbelow(1000) / 1000)
        return Issued(values, name, term, session.id)

    async def renew(self, namespace: str, vault: Vault, lease: str, term: Term) -> Term | None:
        """Prolong a lease; None when it has ended or is not known."""
        del namespace, vault
        async with self._lock:
            now = self._clock()
            held = self._ledger.leases.get(lease)
            if held is None or lease in self._ledger.overdue(now):
                return None
            longer = prolong(held, term.asked, now)
            if longer is None:
                return None
            statements = [fill_in(s, _values(longer)) for s in longer.renew]
            await self._users.run(longer.database, statements)
            self._note(self._ledger.with_lease(lease, longer))
        return Term(now, longer.ends_at - now, term.asked, term.renewable, term.spread)

    async def revoke(self, namespace: str, vault: Vault, lease: str) -> None:
        """End a lease now; one that is gone is no failure."""
        del namespace, vault
        async with self._lock:
            await self._end_lease(lease)

    async def abandon_session(self, namespace: str, vault: Vault, session: str) -> None:
        """Use a session no longer: the next one to hold is another."""
        async with self._lock:
            held = self._ledger.sessions.get(session)
            if held is not None and held.owner == _owner(namespace, vault):
                self._note(self._ledger.abandoning(session))

    async def abandoned_sessions(self) -> Collection[str]:
        """Sessions that are used no longer and have not ended."""
        return [name for name, held in self._ledger.sessions.items() if held.abandoned]

    async def end_session(self, session: str) -> None:
        """End an abandoned session now, and with it every lease that it has made."""
        async with self._lock:
            for lease in self._ledger.made_by(session):
                await self._end_lease(lease)
            self._note(self._ledger.without_session(session))

    async def forget_ended(self) -> None:
        """Remove the users of leases whose end has passed; to be called from time to time."""
        async with self._lock:
            now = self._clock()
            for lease in self._ledger.overdue(now):
                try:
                    await self._end_lease(lease)
                except ReconcileError as error:
                    log.info("local user not removed yet", reason=error.reason)
            for session in self._ledger.ended_sessions(now):
                if not self._ledger.made_by(session):
                    self._note(self._ledger.without_session(session))

    def _hold(self, namespace: str, vault: Vault) -> Session:
        owner, now = _owner(namespace, vault), self._clock()
        name = self._ledger.held_by(owner, now)
        if name is None:
            name = secrets.token_hex(8)
            held = begin_session(owner, now, secrets.randbelow(1000) / 1000)
        else:
            held = keep_session(self._ledger.sessions[name], now)
        self._note(self._ledger.with_session(name, held))
        return Session(name, held.term)

    async def _make_user(
        self, name: str, lease: HeldLease, role: DatabaseRole, password: str
    ) -> None:
        values = {**_values(lease), "password": password}
        try:
            await self._users.run(role.database, [fill_in(s, values) for s in role.create])
        except Unanswered:
            raise  # it may be there: the session's end, or the lease's, removes it
        except ReconcileError as error:
            self._note(self._ledger.without_lease(name))
            raise type(error)(error.reason, error.message.replace(password, "***")) from None

    async def _end_lease(self, name: str) -> None:
        lease = self._ledger.leases.get(name)
        if lease is None:
            return
        statements = [fill_in(s, _values(lease)) for s in lease.revoke]
        await self._users.drop(lease.database, lease.user, statements)
        self._note(self._ledger.without_lease(name))

    def _note(self, ledger: Ledger) -> None:
        if ledger != self._ledger:
            write_private(self._state, json.dumps(pack(ledger)))
            self._ledger = ledger


def _begin_lease(path: str, role: DatabaseRole, session: str, now: float) -> HeldLease:
    kind = "".join(c for c in path.rpartition("/")[2].lower() if c.isalnum() or c == "-")
    return HeldLease(
        path=path,
        user=f"v-{kind[:24]}-{secrets.token_hex(8)}",
        database=role.database,
        session=session,
        issued_at=now,
        ends_at=now + min(role.ttl, role.max_ttl),
        max_ttl=role.max_ttl,
        renew=role.renew,
        revoke=role.revoke,
    )


def _values(lease: HeldLease) -> dict[str, str]:
    ends = datetime.fromtimestamp(lease.ends_at, UTC).isoformat()
    return {"name": lease.user, "username": lease.user, "expiration": ends}


def _owner(namespace: str, vault: Vault) -> str:
    """Whose session it is: one for each login that a real Vault would see."""
    login = [
        vault.address, vault.namespace, vault.method, vault.mount, vault.role, namespace,
        vault.service_account,
    ]  # fmt: skip
    return json.dumps(login)
