"""What is granted for a time → keep it, renew it or replace it; and how stale a value is.

Leases and login tokens alike. Renewal is due at two thirds of what was granted, somewhat earlier
by a fixed jitter. A renewal that grants clearly less than asked for means that the end (max ttl) is
near: three tenths are left then at least, the overlap in which the replacement rolls out.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

DUE_AT = 2 / 3
JITTER = 0.1
FULL = 0.9


class Step(StrEnum):
    """What is due for something granted for a time."""

    KEEP = "keep"
    RENEW = "renew"
    ROTATE = "rotate"


@dataclass(frozen=True)
class Term:
    """When it was granted or last renewed, and for how long; `spread` in [0, 1) is its jitter."""

    granted_at: float
    seconds: float
    asked: float
    renewable: bool
    spread: float = 0.0

    @property
    def ends_at(self) -> float:
        """When it ends unless it is renewed."""
        return self.granted_at + self.seconds

    @property
    def capped(self) -> bool:
        """A renewal gave less than was asked for: its greatest life is near."""
        return self.seconds < self.asked * FULL - 1

    @property
    def due_at(self) -> float:
        """When something has to be done about it."""
        if self.capped:
            return self.granted_at
        return self.granted_at + self.seconds * (DUE_AT - JITTER * self.spread)


def evaluate_term(term: Term, now: float) -> Step:
    """What is due now."""
    if term.capped or now >= term.ends_at:
        return Step.ROTATE
    if now < term.due_at:
        return Step.KEEP
    return Step.RENEW if term.renewable else Step.ROTATE


def evaluate_lease(term: Term, now: float, *, of_this_session: bool) -> Step:
    """A lease ends with the session (token) that made it: with a new session it is replaced."""
    return evaluate_term(term, now) if of_this_session else Step.ROTATE


def describe_staleness(failing_since: str | None, now: str) -> str:
    """How long a value has not been confirmed, in words that seldom change."""
    seconds = _seconds_between(failing_since, now)
    if seconds < 60:
        return "for less than a minute"
    if seconds < 3600:
        minutes = max(m for m in (1, 2, 5, 10, 20, 40) if m * 60 <= seconds)
        return f"for over {minutes} minute{'' if minutes == 1 else 's'}"
    hours = int(seconds // 3600)
    if hours < 48:
        return f"for over {hours} hour{'' if hours == 1 else 's'}"
    return f"for over {hours // 24} days"


def _seconds_between(earlier: str | None, later: str) -> float:
    if earlier is None:
        return 0.0
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
