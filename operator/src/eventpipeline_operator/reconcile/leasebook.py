"""What is remembered about the dynamic credentials of one pipeline, and its stored form."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from eventpipeline_operator.api.types import Key, Vault
from eventpipeline_operator.policies.leases import Term


@dataclass(frozen=True)
class Lease:
    """A lease and where it came from: enough to renew or revoke it without the object."""

    id: str = field(repr=False)
    path: str
    vault: Vault
    session: str
    term: Term


@dataclass(frozen=True)
class Pending:
    """Credentials asked for under a session: until they are noted, nobody knows their lease."""

    vault: Vault
    session: str


@dataclass(frozen=True)
class Entry:
    """The credentials of one entry: those in use, and the leases of those that are leaving."""

    serial: int = 0
    current: Lease | None = None
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    retired: tuple[Lease, ...] = ()
    pending: Pending | None = None

    @property
    def leases(self) -> tuple[Lease, ...]:
        """All of them."""
        return (*((self.current,) if self.current else ()), *self.retired)

    def succeeded_by(self, lease: Lease, values: Mapping[str, Any]) -> "Entry":
        """New credentials are current; what was, is leaving."""
        return Entry(self.serial + 1, lease, values, self.leases)


@dataclass(frozen=True)
class Book:
    """All entries of one pipeline."""

    key: Key
    entries: Mapping[str, Entry] = field(default_factory=dict)

    def leases(self) -> Iterator[Lease]:
        """Every lease that is known."""
        for entry in self.entries.values():
            yield from entry.leases

    def pending(self) -> Iterator[Pending]:
        """Everything that was asked for and not noted."""
        for entry in self.entries.values():
            if entry.pending:
                yield entry.pending

    def sessions(self) -> set[str]:
        """Sessions that must not end yet."""
        of_pending = {pending.session for pending in self.pending()}
        return of_pending | {lease.session for lease in self.leases()}


def pack(book: Book) -> dict[str, Any] | None:
    """The stored form; None when there is nothing to remember."""
    if not book.entries:
        return None
    entries = {name: asdict(entry) for name, entry in book.entries.items()}
    return {"key": list(book.key), "entries": entries}


def unpack(record: Mapping[str, Any]) -> Book:
    """The book of a stored form."""
    entries = {name: _entry(raw) for name, raw in record["entries"].items()}
    return Book(Key(*record["key"]), entries)


def _entry(raw: Mapping[str, Any]) -> Entry:
    return Entry(
        serial=raw["serial"],
        current=_lease(raw["current"]) if raw["current"] else None,
        values=raw["values"],
        retired=tuple(_lease(lease) for lease in raw["retired"]),
        pending=_pending(raw.get("pending")),
    )


def _lease(raw: Mapping[str, Any]) -> Lease:
    return Lease(raw["id"], raw["path"], _vault(raw["vault"]), raw["session"], Term(**raw["term"]))


def _pending(raw: Mapping[str, Any] | None) -> Pending | None:
    return Pending(_vault(raw["vault"]), raw["session"]) if raw else None


def _vault(raw: Mapping[str, Any]) -> Vault:
    return Vault(**{**raw, "audiences": tuple(raw["audiences"])})
