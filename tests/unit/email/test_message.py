"""The mail as bytes on the wire."""

from datetime import UTC, datetime

import pytest

from email_service.adapters.smtp import compose
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
