"""Takes out of a text what could be a secret, before it is kept.

Two nets: values that are known to be secret, and shapes that usually are (credentials in a URL,
what follows a word like password). Pure.
"""

import re
from collections.abc import Iterable

HIDDEN = "[redacted]"
LEAST_LENGTH = 4

USERINFO = re.compile(r"(?<=://)\S*@")
ASSIGNED = re.compile(
    r"(?i)([\w.-]*(?:passw(?:or)?d|secret|token|credential|api[_-]?key|private[_-]?key)[\w.-]*"
    r"[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;\"']+)"
)
BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")


def redact(text: str, values: Iterable[str] = ()) -> str:
    """The text without known values and without what looks like one."""
    for value in sorted({v for v in values if len(v) >= LEAST_LENGTH}, key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    text = USERINFO.sub(f"{HIDDEN}@", text)
    text = BEARER.sub(rf"\1 {HIDDEN}", text)
    return ASSIGNED.sub(rf"\1{HIDDEN}", text)
