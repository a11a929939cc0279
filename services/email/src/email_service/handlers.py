"""Use cases of the email service: note an intent, deliver what is due."""

from collections.abc import Sequence
from typing import Protocol

from email_service.domain import MAX_ATTEMPTS, Letter, Mail, delay_after


class Refused(Exception):  # what the server did
    """The server will never take this mail."""


class NotNow(Exception):
    """The mail may be taken later; it certainly was not taken now, or that is unknown."""


class Ledger(Protocol):
    """Where mails are claimed and their outcome is noted."""

    def claim(self, limit: int) -> list[Mail]:
        """Take mails that are due, with a lease."""
        ...

    def sent(self, mail: Mail) -> None:
        """The server took it."""
        ...

    def failed(self, mail: Mail, cause: str, retry_in: float | None) -> None:
        """The server did not; without a delay it is given up."""
        ...


class Mailer(Protocol):
    """The way to the mail server."""

    def send(self, mail: Mail) -> None:
        """Return when the server took it; else `Refused` or `NotNow`."""
        ...


class Intents(Protocol):
    """Where the consumer notes what is to be written."""

    def note(self, letters: Sequence[Letter]) -> int:
        """Keep each once; answers how many were new."""
        ...


def deliver(mail: Mail, mailer: Mailer, ledger: Ledger) -> bool:
    """One attempt, and its outcome noted before the next begins."""
    try:
        mailer.send(mail)
    except Refused as error:
        ledger.failed(mail, str(error), None)
        return False
    except NotNow as error:
        retry = delay_after(mail.attempts) if mail.attempts < MAX_ATTEMPTS else None
        ledger.failed(mail, str(error), retry)
        return False
    ledger.sent(mail)
    return True
