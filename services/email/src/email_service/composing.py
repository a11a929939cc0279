"""A mail → the message as it travels; pure, and identical for every attempt.

Lines end with CRLF: what passes the bytes on does not touch them, and servers refuse a bare newline
or take the whole body for one line that is too long. Written by hand: `email`'s classes parse what
they write, at half a millisecond a mail. What needs an encoding is left to the standard library.
"""

import binascii
import re
from email.errors import MessageError
from email.header import Header
from email.utils import format_datetime

from email_service.domain import Mail, message_id

LONGEST_LINE = 998  # RFC 5321 4.5.3.1.6, without the CRLF
_PREFERRED_LINE = 78  # RFC 5322 2.1.1

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LINE_END = re.compile(r"\r\n|\r|\n")
_TOO_LONG = re.compile(rf"[^\r\n]{{{LONGEST_LINE + 1}}}")


def compose(mail: Mail, sender: str) -> bytes:
    """Headers, then the text and, if there is one, its HTML; `MessageError` if that cannot be."""
    boundary = f"=_{mail.id}"
    parts = [_part(mail.body, "plain")]
    if mail.html:
        parts.append(_part(mail.html, "html"))
    lines = [
        f"Message-ID: {_safe(message_id(mail.id, sender))}",
        f"Date: {format_datetime(mail.created_at)}",
        f"From: {_safe(sender)}",
        f"To: {_safe(mail.recipient)}",
        f"Subject: {_subject(mail.subject)}",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{_safe(boundary)}"',
        "",
        *(f"--{boundary}\r\n{part}" for part in parts),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def _safe(value: str) -> str:
    """What stands in a header as it is: one line of ASCII, so that no header is smuggled in."""
    if not value.isascii() or _CONTROL.search(value):
        raise MessageError(f"{value!r} cannot stand in a header")
    return value


def _subject(text: str) -> str:
    """As it is, if that is short ASCII; else in the encoded words of RFC 2047."""
    if text.isascii() and len(text) < _PREFERRED_LINE - len("Subject: "):
        return _safe(text)
    if _CONTROL.search(text):
        raise MessageError("a control character cannot stand in a subject")
    return Header(text, "utf-8", header_name="Subject").encode(linesep="\r\n")


def _part(text: str, subtype: str) -> str:
    """As it is, if a server must take it so; else quoted, which breaks long lines, too."""
    if text.isascii() and not _TOO_LONG.search(text):
        charset, encoding, content = "us-ascii", "7bit", text
    else:
        charset, encoding = "utf-8", "quoted-printable"
        content = binascii.b2a_qp(_LINE_END.sub("\n", text).encode()).decode("ascii")
    lines = [
        f'Content-Type: text/{subtype}; charset="{charset}"',
        f"Content-Transfer-Encoding: {encoding}",
        "",
        _LINE_END.sub("\r\n", content),
    ]
    return "\r\n".join(lines)
