"""Dynamic credentials over time: made, renewed, replaced with overlap, revoked.

Every pass keeps leases alive first, whatever else it may do; the secrets step reads (and replaces
what is due); after the workloads step leases are released whose credentials no pod uses any more.
All of it is kept in the Safe, so that a restart goes on where it was. policies/leases.py decides.

Before credentials are asked for, that is noted; when the answer was not (the operator was killed,
the line broke), a lease may live that nobody knows. Its session is abandoned then: what is known of
it is replaced with the usual overlap, and after the last of it the session is ended, in Vault too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import structlog

from eventpipeline_operator.api.types import Dynamic, EventPipeline, Key, Vault
from eventpipeline_operator.desired.records import SecretReference
from eventpipeline_operator.errors import ReconcileError, Retryable, Unanswered
from eventpipeline_operator.policies.leases import Step, evaluate_lease, evaluate_term
from eventpipeline_operator.reconcile.leasebook import Book, Entry, Lease, Pending, pack, unpack
from eventpipeline_operator.reconcile.ports import KvValue, Runtime, Safe, VaultPort
from eventpipeline_operator.reconcile.recording import record_call

log = structlog.get_logger()

PREFIX = "leases."
LEAST_PAUSE = 0.5

Delivered = Mapping[str, SecretReference]
Exists = Callable[[Key, str], Awaitable[bool]]


class Leases:
    """The leases of all pipelines."""

    def __init__(self, vault: VaultPort, safe: Safe, clock: Callable[[], float]) -> None:
        self._vault = vault
        self._safe = safe
        self._clock = clock
        self._books: dict[str, Book] = {}
        self._failures: dict[str, dict[str, ReconcileError]] = {}
        self._session_dues: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def keep(self, pipeline: EventPipeline) -> None:
        """Renew sessions and leases that are due; what fails is told by the next read."""
        failures = self._failures[pipeline.uid] = {}
        book = await self._open(pipeline)
        due = []
        entries = {}
        for name, entry in book.entries.items():
            try:
                current, session_due = await self._kept(book.key, entry)
                due.append(session_due)
            except ReconcileError as error:
                log.info("leases not renewed", entry=name, reason=error.reason)
                failures[name] = error
                current = entry
            entries[name] = current
        self._session_dues[pipeline.uid] = min(due, default=float("inf"))
        await self._write(pipeline.uid, replace(book, entries=entries))

    async def read(self, pipeline: EventPipeline, vault: Vault, name: str, path: str) -> KvValue:
        """The credentials of an entry: those in use, or new ones when it is time for them."""
        book = await self._open(pipeline)
        entry = book.entries.get(name, Entry())
        session = await self._vault.hold_session(pipeline.key.namespace, vault)
        current = entry.current
        usable = current and current.path == path and _same_server(current.vault, vault)
        if current and usable and not entry.pending:
            same = current.session == session.id
            step = evaluate_lease(current.term, self._clock(), of_this_session=same)
            failure = self._failures.get(pipeline.uid, {}).get(name)
            if step is not Step.ROTATE:
                if failure:
                    raise failure
                return KvValue(entry.values, str(entry.serial))
        return await self._replace(pipeline, vault, name, path)

    async def release(
        self, pipeline: EventPipeline, runtime: Runtime, delivered: Delivered
    ) -> None:
        """Revoke leases whose credentials are replaced everywhere or asked for no more."""
        book = await self._open(pipeline)
        wanted = {s.name for s in pipeline.secrets if isinstance(s.vault, Dynamic)}
        entries = dict(book.entries)
        for name, entry in book.entries.items():
            leaving = entry if name in wanted else replace(entry, current=None, values={},
                                                           retired=entry.leases)  # fmt: skip
            reference = delivered.get(name)
            rolled_out = not runtime.holds_superseded(pipeline, name, reference)
            if name in wanted:
                # While the values before the newest are still delivered, theirs must live.
                newest = reference is not None and reference.version == str(entry.serial)
                rolled_out = rolled_out and newest
            if name not in wanted:
                leaving = await self._settled(book.key, leaving)
            if leaving.retired and rolled_out:
                leaving = replace(leaving, retired=await self._revoked(book.key, leaving.retired))
            entries[name] = leaving
        await self._write(pipeline.uid, replace(book, entries=_not_empty(entries)))

    def due_in(self, uid: str) -> float | None:
        """Seconds until something of this pipeline is due; None when nothing is foreseen."""
        book, now = self._books.get(uid), self._clock()
        if book is None or not book.entries:
            return None
        dues = [self._session_dues.get(uid, float("inf"))]
        dues += [lease.term.due_at for lease in book.leases()]
        ahead = [due - now for due in dues if due > now]
        return max(LEAST_PAUSE, min(ahead)) if ahead else None

    def forget(self, uid: str) -> None:
        """The object is gone; what it held is revoked by the next sweep."""
        self._books.pop(uid, None)
        self._failures.pop(uid, None)
        self._session_dues.pop(uid, None)
        self._locks.pop(uid, None)

    async def sweep(self, exists: Exists) -> None:
        """Revoke the leases of objects that are gone, also of those gone while nobody looked."""
        await self._sweep_books(exists)
        abandoned = await self._vault.abandoned_sessions()
        used = await self._used_sessions() if abandoned else set()
        for session in set(abandoned) - used:
            try:
                await self._vault.end_session(session)
            except ReconcileError as error:
                log.info("session not ended yet", reason=error.reason)

    async def _used_sessions(self) -> set[str]:
        used: set[str] = set()
        for stored in await self._safe.keys(PREFIX):
            record = await self._safe.load(stored)
            used |= unpack(record).sessions() if record else set()
        return used

    async def _sweep_books(self, exists: Exists) -> None:
        for stored in await self._safe.keys(PREFIX):
            uid = stored.removeprefix(PREFIX)
            record = None if uid in self._books else await self._safe.load(stored)
            if record is None:
                continue
            book = unpack(record)
            if await exists(book.key, uid) or uid in self._books:
                continue
            left = await self._revoked(book.key, tuple(book.leases()))
            for entry in book.entries.values():
                await self._settled(book.key, entry)
            entries = {"": Entry(retired=left)} if left else {}
            await self._safe.store(stored, pack(Book(book.key, entries)))

    async def _kept(self, key: Key, entry: Entry) -> tuple[Entry, float]:
        """The entry with its leases renewed where due, and when its sessions are due."""
        due = float("inf")
        renewed = []
        for lease in entry.leases:
            if self._clock() >= lease.term.ends_at and lease is not entry.current:
                continue
            session = await self._vault.hold_session(key.namespace, lease.vault)
            due = min(due, session.term.due_at)
            renewed.append(await self._renewed(key, lease))
        current = renewed.pop(0) if entry.current else None
        return replace(entry, current=current, retired=tuple(renewed)), due

    async def _renewed(self, key: Key, lease: Lease) -> Lease:
        if evaluate_term(lease.term, self._clock()) is not Step.RENEW:
            return lease
        term = await self._vault.renew(key.namespace, lease.vault, lease.id, lease.term)
        # A lease that Vault does not prolong has nothing more to come: it is due for replacement.
        return replace(lease, term=term or replace(lease.term, renewable=False))

    async def _replace(
        self, pipeline: EventPipeline, vault: Vault, name: str, path: str
    ) -> KvValue:
        namespace = pipeline.key.namespace
        before = await self._settled(pipeline.key, self._books[pipeline.uid].entries.get(name))
        session = await self._vault.hold_session(namespace, vault)
        pending = replace(before, pending=Pending(vault, session.id))
        await self._note(pipeline.uid, name, pending)
        try:
            issued = await self._vault.issue(namespace, vault, path)
        except Unanswered:
            raise
        except ReconcileError:
            await self._note(pipeline.uid, name, before)
            raise
        lease = Lease(issued.lease, path, vault, issued.session, issued.term)
        entry = before.succeeded_by(lease, issued.values)
        try:
            await self._note(pipeline.uid, name, entry)
        except ReconcileError:  # what cannot be remembered must not be used
            await self._revoked(pipeline.key, (lease,))
            raise
        log.info("credentials issued", entry=name, serial=entry.serial)
        record_call("issue credentials", name, f"serial {entry.serial}")
        return KvValue(entry.values, str(entry.serial))

    async def _note(self, uid: str, name: str, entry: Entry) -> None:
        async with self._locks.setdefault(uid, asyncio.Lock()):
            book = self._books[uid]
            entries = _not_empty({**book.entries, name: entry})
            await self._write(uid, replace(book, entries=entries))

    async def _settled(self, key: Key, entry: Entry | None) -> Entry:
        """The entry without anything pending: who asked is dead, or was not answered."""
        if entry is None or entry.pending is None:
            return entry or Entry()
        pending = entry.pending
        await self._vault.abandon_session(key.namespace, pending.vault, pending.session)
        return replace(entry, pending=None)

    async def _revoked(self, key: Key, leases: tuple[Lease, ...]) -> tuple[Lease, ...]:
        """Revoke; what could not be, but may be later, is returned."""
        left = []
        for lease in leases:
            if self._clock() >= lease.term.ends_at:
                continue
            try:
                await self._vault.revoke(key.namespace, lease.vault, lease.id)
                log.info("lease revoked", path=lease.path)
                record_call("revoke lease", lease.path, "done")
            except Retryable as error:
                log.info("lease not revoked yet", path=lease.path, reason=error.reason)
                left.append(lease)
            except ReconcileError as error:
                log.warning("lease left to its end", path=lease.path, reason=error.reason)
        return tuple(left)

    async def _open(self, pipeline: EventPipeline) -> Book:
        if pipeline.uid not in self._books:
            record = await self._safe.load(PREFIX + pipeline.uid)
            book = unpack(record) if record else Book(pipeline.key)
            self._books.setdefault(pipeline.uid, book)
        return self._books[pipeline.uid]

    async def _write(self, uid: str, book: Book) -> None:
        if book == self._books[uid]:
            return
        before, self._books[uid] = self._books[uid], book
        try:
            await self._safe.store(PREFIX + uid, pack(book))
        except ReconcileError:
            self._books[uid] = before
            raise


def _same_server(one: Vault, other: Vault) -> bool:
    return (one.address, one.namespace) == (other.address, other.namespace)


def _not_empty(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    return {name: entry for name, entry in entries.items() if entry.leases or entry.pending}
