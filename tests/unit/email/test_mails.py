"""Templates, messages, outcomes, pace."""

import smtplib
import threading
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from email_service.adapters.smtp import SmtpMailer, compose
from email_service.config import EmailSettings
from email_service.domain import MAX_ATTEMPTS, Letter, Mail, Template, delay_after, message_id
from email_service.handlers import NotNow, Refused, deliver
from email_service.rendering import render
from email_service.sender import Pace
from fakes.time import FakeClock

MAIL = Mail(
    "0190-id",
    Template.CONFIRMED,
    "ada@example.com",
    "Order Created",
    "Your order ….",
    "<p>Your order …</p>",
    1,
    datetime(2026, 1, 1, tzinfo=UTC),
    None,
)


def letter(template: Template, product: str = "book", reason: str | None = None) -> Letter:
    return Letter("m", "o-1", template, "k", "a@b.co", product, 1, reason, None)


def test_the_confirmation_reads_as_it_always_did() -> None:
    subject, text, _ = render(letter(Template.CONFIRMED))
    assert subject == "Order Created"
    assert text == "Your order book (o-1) has been successfully received."


def test_a_refusal_says_why() -> None:
    subject, text, _ = render(letter(Template.REJECTED, reason="out of stock"))
    assert (subject, text) == (
        "Order Rejected",
        "Your order book (o-1) could not be served: out of stock.",
    )


@pytest.mark.parametrize("template", list(Template))
def test_every_template_has_both_forms_and_escapes_html(template: Template) -> None:
    _, text, html = render(letter(template, product="<b>&"))
    assert "<b>&" in text
    assert "&lt;b&gt;&amp;" in html
    assert "o-1" in html


def parsed(mail: Mail) -> EmailMessage:
    message = message_from_bytes(compose(mail, "shop@example.com"), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_message_is_the_same_for_every_attempt() -> None:
    message = parsed(MAIL)
    assert (
        message["Message-ID"] == "<0190-id@example.com>" == message_id("0190-id", "s@example.com")
    )
    assert message["To"] == "ada@example.com"
    assert message["Date"] == "Thu, 01 Jan 2026 00:00:00 +0000"
    assert message.get_content_type() == "multipart/alternative"


class FakeLedger:
    def __init__(self) -> None:
        self.notes: list[tuple[str, float | None]] = []

    def claim(self, _limit: int) -> list[Mail]:
        return []

    def sent(self, _mail: Mail) -> None:
        self.notes.append(("sent", None))

    def failed(self, _mail: Mail, cause: str, retry_in: float | None) -> None:
        self.notes.append((cause, retry_in))


class FakeMailer:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def send(self, _mail: Mail) -> None:
        if self._error:
            raise self._error


def outcome(error: Exception | None, attempts: int = 1) -> tuple[str, float | None]:
    ledger = FakeLedger()
    mail = Mail(
        *[
            *(getattr(MAIL, f) for f in ("id", "template", "recipient", "subject")),
            *(getattr(MAIL, f) for f in ("body", "html")),
            attempts,
            MAIL.created_at,
            None,
        ]
    )
    assert deliver(mail, FakeMailer(error), ledger) is (error is None)
    (note,) = ledger.notes
    return note


def test_what_the_server_took_is_sent() -> None:
    assert outcome(None) == ("sent", None)


def test_a_final_refusal_is_final() -> None:
    assert outcome(Refused("550 no such user")) == ("550 no such user", None)


def test_a_passing_failure_is_tried_again_later() -> None:
    cause, retry = outcome(NotNow("451 busy"), attempts=3)
    assert cause == "451 busy"
    assert retry is not None
    assert 4 <= retry <= 8


def test_patience_ends() -> None:
    assert outcome(NotNow("451 busy"), attempts=MAX_ATTEMPTS) == ("451 busy", None)


def test_delays_double_up_to_an_hour() -> None:
    assert all(1 <= delay_after(1) <= 2 for _ in range(100))
    assert all(1_800 <= delay_after(30) <= 3_600 for _ in range(100))


def test_the_pace_is_kept_over_all_senders() -> None:
    clock = FakeClock()
    pace = Pace(10, clock)
    for _ in range(11):
        pace.wait(threading.Event())
    assert clock.seconds == pytest.approx(1.0, abs=0.05)


def test_without_a_limit_nobody_waits() -> None:
    clock = FakeClock()
    Pace(0, clock).wait(threading.Event())
    assert clock.waits == []


class FakeSession:
    """Answers like smtplib.SMTP, with what it was told to do."""

    def __init__(self, *script: Exception | None) -> None:
        self.script = list(script)
        self.sent = 0

    def sendmail(self, *_: Any) -> None:
        error = self.script.pop(0) if self.script else None
        if error:
            raise error
        self.sent += 1

    def close(self) -> None: ...


def mailer(monkeypatch: pytest.MonkeyPatch, *sessions: FakeSession) -> SmtpMailer:
    made = SmtpMailer(EmailSettings.from_env({"DATABASE_URL": "x"}))
    queue = list(sessions)
    monkeypatch.setattr(made, "_open", lambda: queue.pop(0))
    return made


def test_a_session_is_kept_between_mails(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession()
    one = mailer(monkeypatch, session)
    one.send(MAIL)
    one.send(MAIL)
    assert session.sent == 2


def test_a_session_that_was_closed_meanwhile_is_opened_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second = FakeSession()
    one = mailer(
        monkeypatch, FakeSession(None, smtplib.SMTPServerDisconnected("idle too long")), second
    )
    one.send(MAIL)
    one.send(MAIL)
    assert second.sent == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (smtplib.SMTPRecipientsRefused({"a": (550, b"unknown user")}), Refused),
        (smtplib.SMTPRecipientsRefused({"a": (450, b"greylisted")}), NotNow),
        (smtplib.SMTPDataError(554, b"spam"), Refused),
        (smtplib.SMTPDataError(452, b"full"), NotNow),
        (smtplib.SMTPAuthenticationError(535, b"bad credentials"), NotNow),
        (smtplib.SMTPServerDisconnected("gone"), NotNow),
        (TimeoutError("slow"), NotNow),
        (ConnectionRefusedError("down"), NotNow),
    ],
)
def test_each_answer_has_one_fate(
    monkeypatch: pytest.MonkeyPatch, error: Exception, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        mailer(monkeypatch, FakeSession(error)).send(MAIL)
