"""A mail and its life in the ledger; pure.

QUEUED → SENDING (claimed, with a lease) → SENT, or QUEUED again later, or DEAD. One row per order
and template is the promise of exactly one intent; delivery is at least once, because a sender that
dies between the server's 250 and its own note cannot know. The Message-ID never changes, so a
second copy can be told from a second mail.
"""

import random
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

MAX_ATTEMPTS = 12
FIRST_DELAY_SECONDS = 2.0
LONGEST_DELAY_SECONDS = 3_600.0


class Template(StrEnum):
    """Which mail."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    MANUAL = "manual"


TEMPLATE_OF = {
    "OrderConfirmed": Template.CONFIRMED,
    "OrderRejected": Template.REJECTED,
    "OrderCancelled": Template.CANCELLED,
}


class State(StrEnum):
    """Where a mail stands."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    DEAD = "DEAD"


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail to be written: which, to whom, about what."""

    id: str
    order_id: str
    template: Template
    dedupe_key: str
    recipient: str
    product: str
    quantity: int | None
    reason: str | None
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Mail:
    """A row of the ledger."""

    id: str
    template: Template
    recipient: str
    subject: str
    body: str
    html: str | None
    attempts: int
    created_at: datetime
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt: without a cause the server took the mail."""

    mail: Mail
    cause: str | None = None
    retry_in: float | None = None

    @property
    def state(self) -> State:
        """Where the mail stands now."""
        if self.cause is None:
            return State.SENT
        return State.DEAD if self.retry_in is None else State.QUEUED


def dedupe_key(order_id: str, template: Template) -> str:
    """What makes a second intent for the same thing the same."""
    return f"{order_id}/{template}"


def message_id(mail_id: str, sender: str) -> str:
    """The same for every attempt."""
    return f"<{mail_id}@{sender.rpartition('@')[2]}>"


def delay_after(attempts: int) -> float:
    """Seconds until the next attempt: doubling, with jitter, at most an hour."""
    longest: float = min(LONGEST_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** max(0, attempts - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311
