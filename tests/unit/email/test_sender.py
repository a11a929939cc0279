"""A sender's turn: never a mail that may be someone else's by now, never a forgotten 250."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import psycopg2
import pytest

from email_service.config import EmailSettings
from email_service.domain import Mail, Outcome, Template
from email_service.sender import InsistentLedger, Sender
from eventbus.runtime import Heartbeat
from eventbus.settings import ServiceSettings
from eventbus.tracing import build_tracing
from fakes.time import FakeClock

MAIL = Mail(
    id="0",
    template=Template.CONFIRMED,
    recipient="ada@example.com",
    subject="Order Created",
    body="text",
    html=None,
    attempts=1,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    traceparent=None,
)
SETTINGS = EmailSettings.from_env({"DATABASE_URL": "postgresql://", "MAIL_LEASE_SECONDS": "120"})


class LedgerOf:
    """Holds some mails and remembers what was noted; the first notes may fail."""

    def __init__(self, mails: int, outages: int = 0, error: type[Exception] | None = None) -> None:
        self.mails = [replace(MAIL, id=str(number)) for number in range(mails)]
        self.noted: list[list[str]] = []
        self._outages = outages
        self._error = error or psycopg2.OperationalError

    def claim(self, limit: int) -> list[Mail]:
        return self.mails[:limit]

    def note(self, outcomes: Sequence[Outcome]) -> None:
        if self._outages:
            self._outages -= 1
            raise self._error("the server closed the connection")
        self.noted.append([outcome.mail.id for outcome in outcomes])


class MailerThat:
    """Takes every mail, after a while; connections may share one record."""

    def __init__(
        self, meanwhile: Callable[[], object] = lambda: None, record: list[str] | None = None
    ) -> None:
        self.taken: list[str] = [] if record is None else record
        self._meanwhile = meanwhile

    def offer(self, mail: Mail) -> None:
        self.taken.append(f"offered {mail.id}")
        self._mail = mail

    def hand_over(self) -> None: ...

    def result(self) -> None:
        self._meanwhile()
        self.taken.append(self._mail.id)


def taken(mailer: MailerThat) -> list[str]:
    return [entry for entry in mailer.taken if not entry.startswith("offered")]


def build_sender(clock: FakeClock, settings: EmailSettings = SETTINGS) -> Sender:
    return Sender(settings, build_tracing(ServiceSettings(database_url="")), clock)


def test_a_slow_server_gets_no_mail_whose_lease_may_be_over() -> None:
    clock = FakeClock()
    mailer = MailerThat(lambda: clock.wait(threading.Event(), 14))
    build_sender(clock).step(LedgerOf(20), [mailer], threading.Event(), Heartbeat())
    assert taken(mailer) == ["0", "1", "2", "3", "4"]


def test_a_quick_server_gets_every_mail_of_a_claim() -> None:
    clock = FakeClock()
    mailer = MailerThat(lambda: clock.wait(threading.Event(), 1))
    ledger = LedgerOf(20)
    build_sender(clock).step(ledger, [mailer], threading.Event(), Heartbeat())
    assert ledger.noted == [[mail.id] for mail in ledger.mails]


def test_a_stop_leaves_the_rest_of_a_claim_unsent() -> None:
    stop = threading.Event()
    mailer = MailerThat(stop.set)
    build_sender(FakeClock()).step(LedgerOf(20), [mailer], stop, Heartbeat())
    assert taken(mailer) == ["0"]


def test_each_connection_has_one_mail_in_hand_and_all_are_noted_together() -> None:
    record: list[str] = []
    mailers = [MailerThat(record=record) for _ in range(2)]
    ledger = LedgerOf(3)
    build_sender(FakeClock()).step(ledger, mailers, threading.Event(), Heartbeat())
    assert record == ["offered 0", "offered 1", "0", "1", "offered 2", "2"]
    assert ledger.noted == [["0", "1"], ["2"]]


def test_a_limit_below_the_number_of_connections_leaves_some_of_them_idle() -> None:
    clock = FakeClock()
    mailers = [MailerThat() for _ in range(4)]
    settings = replace(SETTINGS, rate=2.0)
    build_sender(clock, settings).step(LedgerOf(4), mailers, threading.Event(), Heartbeat())
    assert [len(taken(mailer)) for mailer in mailers] == [2, 2, 0, 0]
    assert clock.seconds == pytest.approx(1.0, abs=0.05)


def test_what_the_server_took_is_noted_as_soon_as_the_database_is_back() -> None:
    ledger = LedgerOf(1, outages=3)
    InsistentLedger(ledger, FakeClock(), threading.Event(), Heartbeat()).note([Outcome(MAIL)])
    assert ledger.noted == [["0"]]


def test_an_error_that_is_no_outage_is_not_repeated() -> None:
    ledger = LedgerOf(1, outages=1, error=KeyError)
    with pytest.raises(KeyError):
        InsistentLedger(ledger, FakeClock(), threading.Event(), Heartbeat()).note([Outcome(MAIL)])


def test_a_stop_ends_the_insisting() -> None:
    ledger = LedgerOf(1, outages=1)
    stop = threading.Event()
    stop.set()
    with pytest.raises(psycopg2.OperationalError):
        InsistentLedger(ledger, FakeClock(), stop, Heartbeat()).note([Outcome(MAIL)])
