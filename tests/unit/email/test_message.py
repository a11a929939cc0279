"""The mail as bytes on the wire."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.errors import MessageError

import pytest

from email_service.composing import compose
from email_service.domain import Letter, Mail, Template
from email_service.rendering import render

LONGEST_LINE = 998  # RFC 5321 4.5.3.1.6, without the CRLF


def build_message(template: Template) -> bytes:
    """A composed mail with a long reason."""
    letter = Letter(
        id="01a20871-b133-71db-95b0-88711da2ce8f",
        order_id="01a20871-b133-71db-95b0-88711da2ce8e",
        template=template,
        dedupe_key="key",
        recipient="ada@example.com",
        product="book",
        quantity=3,
        reason="no reason in particular, " * 60,
        traceparent=None,
    )
    subject, body, html = render(letter)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    mail = Mail(
        letter.id, template, letter.recipient, subject, body, html, 1, created, letter.traceparent
    )
    return compose(mail, "shop@example.com")


@pytest.mark.parametrize("template", list(Template))
def test_every_line_ends_with_carriage_return_and_newline(template: Template) -> None:
    message = build_message(template)
    assert message.count(b"\n") == message.count(b"\r\n") > 10


@pytest.mark.parametrize("template", list(Template))
def test_no_line_is_longer_than_a_server_must_take(template: Template) -> None:
    assert max(map(len, build_message(template).split(b"\r\n"))) <= LONGEST_LINE


def test_every_attempt_sends_the_same_message_id() -> None:
    first, second = (build_message(Template.CONFIRMED) for _ in range(2))
    wanted = b"Message-ID: <01a20871-b133-71db-95b0-88711da2ce8f@example.com>\r\n"
    assert wanted in first
    assert wanted in second


def test_every_attempt_sends_the_same_bytes() -> None:
    assert build_message(Template.CONFIRMED) == build_message(Template.CONFIRMED)


@pytest.mark.parametrize(
    "text",
    ["plain", "grün ✓", "x" * 2_000, "ü" * 2_000, "a\n.\nb", "", "a = b  \n", "many words " * 30],
)
def test_text_and_subject_arrive_as_they_were_written(text: str) -> None:
    created = datetime(2026, 1, 1, tzinfo=UTC)
    html = f"<p>{text}</p>"
    subject = text.replace("\n", " ").strip() or "none"
    mail = Mail(
        "01", Template.MANUAL, "ada@example.com", subject, text, html, 1, created, traceparent=None
    )
    raw = compose(mail, "shop@example.com")
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= LONGEST_LINE
    read = message_from_bytes(raw, policy=policy.default)
    plain, marked = (read.get_body([kind]) for kind in ("plain", "html"))
    assert read["Subject"] == subject
    assert plain is not None
    assert plain.get_content().splitlines() == text.splitlines()
    assert marked is not None
    assert marked.get_content().splitlines() == html.splitlines()


def test_a_header_cannot_be_smuggled_in() -> None:
    created = datetime(2026, 1, 1, tzinfo=UTC)
    for subject, recipient in (("a\r\nBcc: b@example.com", "a@example.com"), ("a", "a@b\nX: y")):
        mail = Mail("01", Template.MANUAL, recipient, subject, "", None, 1, created, None)
        with pytest.raises(MessageError):
            compose(mail, "shop@example.com")
