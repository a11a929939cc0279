"""Use cases of the email service: note an intent, deliver what is due."""

from collections.abc import Callable, Sequence
from typing import Protocol

from email_service.domain import MAX_ATTEMPTS, Letter, Mail, Outcome, delay_after


class Refused(Exception):  # what the server did
    """The server will never take this mail."""


class NotNow(Exception):
    """The mail may be taken later; it certainly was not taken now, or that is unknown."""


class Ledger(Protocol):
    """Where mails are claimed and their outcome is noted."""

    def claim(self, limit: int) -> list[Mail]:
        """Take mails that are due, with a lease."""
        ...

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """What became of claimed mails, all at once."""
        ...


class Mailer(Protocol):
    """A connection to the mail server, with at most one mail in hand."""

    def offer(self, mail: Mail) -> None:
        """Announce a mail."""
        ...

    def hand_over(self) -> None:
        """Send its text, if the server wants it."""
        ...

    def result(self) -> None:
        """Return when the server took it; else `Refused` or `NotNow`, whatever went wrong."""
        ...


class Intents(Protocol):
    """Where the consumer notes what is to be written."""

    def note(self, letters: Sequence[Letter]) -> int:
        """Keep each once; answers how many were new."""
        ...


def deliver(
    mails: Sequence[Mail],
    mailers: Sequence[Mailer],
    ledger: Ledger,
    beat: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """One attempt for each mail, side by side, and their outcomes noted before the next begin."""
    pairs = list(zip(mails, mailers, strict=False))
    for mail, mailer in pairs:
        mailer.offer(mail)
        beat()
    for _, mailer in pairs:
        mailer.hand_over()
        beat()
    outcomes = [_outcome(mail, mailer) for mail, mailer in pairs]
    ledger.note(outcomes)
    return outcomes


def _outcome(mail: Mail, mailer: Mailer) -> Outcome:
    try:
        mailer.result()
    except Refused as error:
        return Outcome(mail, str(error))
    except NotNow as error:
        retry = delay_after(mail.attempts) if mail.attempts < MAX_ATTEMPTS else None
        return Outcome(mail, str(error), retry)
    return Outcome(mail)
