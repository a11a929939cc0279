"""Dead letters as they lie in Kafka (docs/adr/0005) → what is shown of them and sent again. Pure.

Nothing of a record's content is shown unless it is asked for: it is somebody's order.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.desired.topics import build_topics

Json = dict[str, Any]

MASK = "[masked]"
MAIL = re.compile(r"[^\s\"'<>,;:=()\[\]{}]+@[^\s\"'<>,;:()\[\]{}]+")
MARKS = "dlq_"
ANYWHERE = -1  # its key decides
SHORTENED = "dlq_shortened_from"
CE = "ce_"


@dataclass(frozen=True)
class LetterBox:
    """The dead-letter topic of one topic and one consuming service."""

    entry: str
    service: str
    topic: str
    origin: str

    def __str__(self) -> str:
        return f"{self.entry}.{self.service}"


@dataclass(frozen=True)
class Letter:
    """One dead letter, and the record that it was."""

    box: LetterBox
    partition: int
    offset: int
    at: str
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)
    headers: tuple[tuple[str, bytes], ...] = field(repr=False)

    @property
    def id(self) -> str:
        """How a person names it."""
        return f"{self.box}/{self.partition}/{self.offset}"

    def header(self, name: str) -> str:
        """A header as text; empty when it is not there."""
        return next((v.decode(errors="replace") for k, v in self.headers if k == name), "")

    @property
    def shortened(self) -> bool:
        """Only a part of the record is here: it was too large to be carried."""
        return bool(self.header(SHORTENED))

    @property
    def origin_partition(self) -> int:
        """Where it came from, as `topic/partition/offset` tells; where it does not, anywhere."""
        parts = self.header("dlq_origin").rsplit("/", 2)
        return int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else ANYWHERE


def letter_boxes(pipeline: EventPipeline) -> list[LetterBox]:
    """All dead-letter topics of an object."""
    return [
        LetterBox(r.entry, r.name.split(".")[-2], r.name, r.dead_letters_of)
        for r in build_topics(pipeline)
        if r.dead_letters_of
    ]


def choose(
    letters: Iterable[Letter], ids: Iterable[str], cause: str | None, since: datetime | None
) -> list[Letter]:
    """Those that are named, or all that fit."""
    named = set(ids)
    return [
        letter
        for letter in letters
        if (not named or letter.id in named)
        and (cause is None or cause.lower() in letter.header("dlq_cause").lower())
        and (since is None or datetime.fromisoformat(letter.at) >= since)
    ]


def outline(letter: Letter, *, reveal: bool = False) -> Json:
    """What a list shows."""
    cause = letter.header("dlq_cause")
    return {
        "id": letter.id,
        "at": letter.at,
        "type": letter.header("ce_type"),
        "origin": letter.header("dlq_origin"),
        "group": letter.header("dlq_group"),
        "cause": cause if reveal else mask_text(cause),
        "shortened": letter.shortened,
    }


def describe(letter: Letter, *, reveal: bool = False) -> Json:
    """All of one letter; its content by shape alone unless revealed."""
    shown = {k: v.decode(errors="replace") for k, v in letter.headers if not k.startswith(MARKS)}
    if not reveal:
        shown = {k: mask_text(v) if k.startswith(CE) else MASK for k, v in shown.items()}
    key = letter.key.decode(errors="replace") if letter.key is not None else None
    return {
        **outline(letter, reveal=reveal),
        "headers": shown,
        "key": key if reveal or key is None else MASK,
        "value": _value(letter.value, reveal=reveal),
    }


def mask_text(text: str) -> str:
    """Words of ours, without the addresses in them."""
    return MAIL.sub(MASK, text)


def mask_value(value: Any) -> Any:
    """The shape of a document: its names, and nothing that stands there."""
    if isinstance(value, Mapping):
        return {name: mask_value(each) for name, each in value.items()}
    if isinstance(value, list):
        return [mask_value(each) for each in value]
    return None if value is None else MASK


def redriven(letter: Letter) -> tuple[tuple[str, bytes], ...]:
    """The headers that the record had before it died."""
    return tuple((k, v) for k, v in letter.headers if not k.startswith(MARKS))


def _value(value: bytes | None, *, reveal: bool) -> Any:
    if value is None:
        return None
    try:
        document = json.loads(value)
    except ValueError:
        text = value.decode(errors="replace")
        return text if reveal else f"{MASK} ({len(value)} bytes, not JSON)"
    return document if reveal else mask_value(document)
