"""What the clients tried and what they were told: the one account that no service wrote.

An attempt is `ok` (it happened), `fail` (it did not) or `unknown` (the answer is missing or says
nothing about it). Everything is on disk before the next attempt begins.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Outcome(StrEnum):
    """What the client knows afterwards."""

    OK = "ok"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Operation(StrEnum):
    """What a client can ask for."""

    PLACE = "place"
    CANCEL = "cancel"
    ADD = "add"


@dataclass(frozen=True)
class Attempt:
    """One request and its answer. `key` is the Idempotency-Key of a place, else unique."""

    operation: Operation
    key: str
    product: str
    quantity: int
    email: str
    started: float
    ended: float
    outcome: Outcome
    status: int | None = None
    order_id: str | None = None


@dataclass(frozen=True)
class Poison:
    """A record that no handler can use, put into a topic by the injector."""

    origin: str  # topic/partition/offset


@dataclass(frozen=True)
class Strike:
    """One fault: what was ordered, and whether it took place."""

    number: int
    kind: str
    variant: str
    started: float
    ended: float
    struck: bool
    note: str = ""


class Journal:
    """Appends records to a file, one JSON object a line, from any thread."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def write(self, record: Attempt | Poison | Strike) -> None:
        """Append and hand to the operating system."""
        with self._lock:
            self._file.write(json.dumps(asdict(record)) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


def read_attempts(path: Path) -> list[Attempt]:
    """The whole client history."""
    return [
        Attempt(
            **{
                **line,
                "operation": Operation(line["operation"]),
                "outcome": Outcome(line["outcome"]),
            }
        )
        for line in _lines(path)
    ]


def read_poisons(path: Path) -> list[Poison]:
    """Every unusable record that Kafka confirmed."""
    return [Poison(**line) for line in _lines(path)]
