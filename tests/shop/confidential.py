"""Finds in log lines what has no place there: values of Secrets, tokens, mail addresses.

A finding names what was found and where, and never repeats it.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

Json = Mapping[str, Any]

SHORTEST = 8
SHAPES = {
    "a token of Vault": re.compile(r"\bhv[sbr]\.[\w-]{20,}"),
    "a JSON Web Token": re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
    "a bearer token": re.compile(r"\bBearer +[\w.~+/=-]{16,}", re.IGNORECASE),
    "a password in an address": re.compile(r"://[^/\s:@\"]*:[^/\s:@\"]+@"),
}
ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE)
PUBLIC_KEYS = re.compile(r"user|\.crt$|^namespace$|^type$", re.IGNORECASE)
TOKEN_KEYS = re.compile(r"token|password", re.IGNORECASE)


def find_confidential(
    lines: Iterable[str], values: Iterable[str] = (), *, addresses: bool = True
) -> list[str]:
    """What was found in lines of level info and above."""
    known = sorted({value for value in values if len(value) >= SHORTEST}, key=len, reverse=True)
    shapes = {**SHAPES, **({"a mail address": ADDRESS} if addresses else {})}
    findings = []
    for number, line in enumerate(lines, 1):
        if _is_debug(line):
            continue
        kinds = [kind for kind, shape in shapes.items() if shape.search(line)]
        kinds += ["the value of a Secret"] if any(value in line for value in known) else []
        findings += [f"line {number} ({_event(line)}): {kind}" for kind in kinds]
    return findings


def find_in_logs(directory: Path) -> dict[str, list[str]]:
    """The same in every log of a directory, by its name."""
    found = {
        path.name: find_confidential(path.read_text(errors="replace").splitlines())
        for path in sorted(directory.glob("*.log"))
    }
    return {name: findings for name, findings in found.items() if findings}


def values_of(secret: Json) -> set[str]:
    """What must not be seen of a Secret: its values, the passwords and tokens within them."""
    if secret.get("type") == "helm.sh/release.v1":
        return set()
    found: set[str] = set()
    for key, encoded in (secret.get("data") or {}).items():
        if not PUBLIC_KEYS.search(key):
            text = base64.b64decode(encoded).decode(errors="replace").strip()
            found |= set(_within(text))
    return found


def _within(text: str) -> Iterator[str]:
    try:
        record = json.loads(text)
    except ValueError:
        record = None
    if isinstance(record, dict | list):
        yield from _leaves(record)
        return
    yield from (line.strip() for line in text.splitlines())
    password = urlsplit(text).password if "://" in text else None
    if password:
        yield from (password, unquote(password))


def _leaves(record: Any, key: str = "") -> Iterator[str]:
    """Of a record only what its key calls confidential: the rest is names and times."""
    if isinstance(record, dict):
        for name, value in record.items():
            yield from _leaves(value, str(name))
    elif isinstance(record, list):
        for value in record:
            yield from _leaves(value, key)
    elif isinstance(record, str) and TOKEN_KEYS.search(key):
        yield record


def _fields(line: str) -> Json:
    try:
        fields = json.loads(line)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _is_debug(line: str) -> bool:
    return str(_fields(line).get("level", "")).lower() in ("debug", "trace")


def _event(line: str) -> str:
    return str(_fields(line).get("event", "not ours"))
