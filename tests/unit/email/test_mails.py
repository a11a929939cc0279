"""Templates, messages, outcomes, pace."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from email_service.composing import compose
from email_service.domain import (
    MAX_ATTEMPTS,
    Letter,
    Mail,
    Outcome,
    Template,
    delay_after,
    message_id,
)
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
        self.notes: list[tuple[str | None, float | None]] = []

    def claim(self, _limit: int) -> list[Mail]:
        return []

    def note(self, outcomes: Sequence[Outcome]) -> None:
        self.notes += [(outcome.cause, outcome.retry_in) for outcome in outcomes]


class FakeMailer:
    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def offer(self, _mail: Mail) -> None: ...

    def hand_over(self) -> None: ...

    def result(self) -> None:
        if self._error:
            raise self._error


def outcome(error: Exception | None, attempts: int = 1) -> tuple[str | None, float | None]:
    ledger = FakeLedger()
    mail = replace(MAIL, attempts=attempts)
    (outcome,) = deliver([mail], [FakeMailer(error)], ledger)
    assert ledger.notes == [(outcome.cause, outcome.retry_in)]
    return ledger.notes[0]


def test_what_the_server_took_is_sent() -> None:
    assert outcome(None) == (None, None)


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
