"""What a stand-in for Vault has given out: versions, sessions, leases, and what is overdue. Pure.

As in Vault a lease ends at its end, when it is revoked, or with the session that made it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from eventpipeline_operator.policies.leases import Step, Term, evaluate_term

SESSION_SECONDS = 86400.0
KEPT_VERSIONS = 10


@dataclass(frozen=True)
class HeldLease:
    """One user of a database; what is needed to end it lies here, not in the file."""

    path: str
    user: str
    database: str
    session: str
    issued_at: float
    ends_at: float
    max_ttl: float
    renew: tuple[str, ...]
    revoke: tuple[str, ...]


@dataclass(frozen=True)
class HeldSession:
    """One login; an abandoned one is used no longer."""

    owner: str
    term: Term
    abandoned: bool = False


@dataclass(frozen=True)
class Versions:
    """The newest versions of one kv secret; the last of them is number `newest`."""

    newest: int = 0
    values: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    def observed(self, values: Mapping[str, Any]) -> "Versions":
        """With what the file holds now: a change is a new version."""
        if self.values and self.values[-1] == values:
            return self
        return Versions(self.newest + 1, (*self.values, values)[-KEPT_VERSIONS:])

    def get(self, version: int) -> Mapping[str, Any] | None:
        """One of them."""
        index = version - self.newest - 1
        return self.values[index] if -len(self.values) <= index < 0 else None


@dataclass(frozen=True)
class Ledger:
    """All of it."""

    sessions: Mapping[str, HeldSession] = field(default_factory=dict)
    leases: Mapping[str, HeldLease] = field(default_factory=dict, repr=False)
    kv: Mapping[str, Versions] = field(default_factory=dict)

    def held_by(self, owner: str, now: float) -> str | None:
        """The session that a login goes on using."""
        for name, session in self.sessions.items():
            if session.owner == owner and not session.abandoned and session.term.ends_at > now:
                return name
        return None

    def with_session(self, name: str, session: HeldSession) -> "Ledger":
        """A session begun, renewed or abandoned."""
        return replace(self, sessions={**self.sessions, name: session})

    def abandoning(self, name: str) -> "Ledger":
        """A session that is used no longer, but not ended."""
        return self.with_session(name, replace(self.sessions[name], abandoned=True))

    def without_session(self, name: str) -> "Ledger":
        """A session has ended."""
        return replace(self, sessions={k: v for k, v in self.sessions.items() if k != name})

    def with_lease(self, name: str, lease: HeldLease) -> "Ledger":
        """A lease made or prolonged."""
        return replace(self, leases={**self.leases, name: lease})

    def without_lease(self, name: str) -> "Ledger":
        """A lease has ended."""
        return replace(self, leases={k: v for k, v in self.leases.items() if k != name})

    def with_versions(self, path: str, versions: Versions) -> "Ledger":
        """A kv secret was read."""
        return replace(self, kv={**self.kv, path: versions})

    def made_by(self, session: str) -> list[str]:
        """Leases of a session."""
        return [name for name, lease in self.leases.items() if lease.session == session]

    def overdue(self, now: float) -> list[str]:
        """Leases that have ended by themselves or with their session."""
        alive = {name for name, held in self.sessions.items() if held.term.ends_at > now}
        return [
            name
            for name, lease in self.leases.items()
            if lease.ends_at <= now or lease.session not in alive
        ]

    def ended_sessions(self, now: float) -> list[str]:
        """Sessions whose end has passed."""
        return [name for name, held in self.sessions.items() if held.term.ends_at <= now]


def begin_session(owner: str, now: float, spread: float) -> HeldSession:
    """A new login."""
    return HeldSession(owner, Term(now, SESSION_SECONDS, SESSION_SECONDS, True, spread))


def keep_session(session: HeldSession, now: float) -> HeldSession:
    """The session, renewed when that is due."""
    if evaluate_term(session.term, now) is Step.KEEP:
        return session
    return replace(session, term=replace(session.term, granted_at=now, seconds=SESSION_SECONDS))


def prolong(lease: HeldLease, asked: float, now: float) -> HeldLease | None:
    """A lease renewed, but never beyond its greatest life; None when it has ended."""
    if lease.ends_at <= now:
        return None
    return replace(lease, ends_at=min(now + asked, lease.issued_at + lease.max_ttl))


def pack(ledger: Ledger) -> dict[str, Any]:
    """The stored form."""
    return asdict(ledger)


def unpack(raw: Mapping[str, Any]) -> Ledger:
    """The ledger of a stored form."""
    return Ledger(
        {name: _session(held) for name, held in raw.get("sessions", {}).items()},
        {name: _lease(held) for name, held in raw.get("leases", {}).items()},
        {
            path: Versions(held["newest"], tuple(held["values"]))
            for path, held in raw.get("kv", {}).items()
        },
    )


def _session(raw: Mapping[str, Any]) -> HeldSession:
    return HeldSession(raw["owner"], Term(**raw["term"]), raw["abandoned"])


def _lease(raw: Mapping[str, Any]) -> HeldLease:
    return HeldLease(**{**raw, "renew": tuple(raw["renew"]), "revoke": tuple(raw["revoke"])})
