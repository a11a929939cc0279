"""Two documents → where they differ, leaf by leaf, with what could be secret hidden. Pure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

from eventpipeline_operator.policies.redaction import HIDDEN, redact

Steps = tuple[str, ...]

NAMES = ("name", "mountPath", "path", "host", "topologyKey", "key")
FREE = frozenset({"annotations", "config", "data", "env"})  # whose keys a user chooses
SECRETIVE = re.compile(r"(?i)passw|secret|token|credential|api[_-]?key|private[_-]?key")
QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|[kMGTPE]i?)?")
FACTORS = {"m": Decimal("0.001"), "": Decimal(1)}
FACTORS |= {unit: Decimal(1000) ** (n + 1) for n, unit in enumerate("kMGTPE")}
FACTORS |= {f"{unit.upper()}i": Decimal(1024) ** (n + 1) for n, unit in enumerate("kMGTPE")}
TEXT_LIMIT = 200


@dataclass(frozen=True)
class Difference:
    """One leaf; None where there is nothing."""

    path: str
    before: str | None
    after: str | None


def compare(before: Any, after: Any, *start: str) -> tuple[Difference, ...]:
    """All leaves that differ, in the order of their paths."""
    return tuple(_compare(start, before, after))


def _compare(steps: Steps, before: Any, after: Any) -> Iterator[Difference]:
    if before == after:
        return
    if _are(Mapping, before, after):
        was, now = before or {}, after or {}
        for name in dict.fromkeys((*was, *now)):
            yield from _compare((*steps, str(name)), was.get(name), now.get(name))
        return
    keyed = _keyed(before, after)
    if keyed:
        was, now = keyed
        for name in dict.fromkeys((*was, *now)):
            yield from _compare((*steps, f"[{name}]"), was.get(name), now.get(name))
        return
    if "resources" in steps and _quantity(before) == _quantity(after) is not None:
        return  # the API server writes 1000m as 1
    yield Difference(_path(steps), _shown(steps, before), _shown(steps, after))


def _are(kind: type, *values: Any) -> bool:
    """Whether they are of a kind, or one is and the other is nothing."""
    present = [v for v in values if v is not None]
    return bool(present) and all(isinstance(v, kind) for v in present)


def _keyed(before: Any, after: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Lists of objects by what names each in both of them."""
    was, now = before or [], after or []
    if not _are(list, before, after) or not all(isinstance(i, Mapping) for i in (*was, *now)):
        return None
    for key in NAMES:
        if all(_names(items, key) for items in (was, now)):
            return {i[key]: i for i in was}, {i[key]: i for i in now}
    return None


def _names(items: Sequence[Mapping[str, Any]], key: str) -> bool:
    found = [item.get(key) for item in items]
    return None not in found and len(set(map(str, found))) == len(found)


def _quantity(value: Any) -> Decimal | None:
    found = QUANTITY.fullmatch(str(value))
    return Decimal(found.group(1)) * FACTORS[found.group(2) or ""] if found else None


def _path(steps: Steps) -> str:
    return "".join(s if s.startswith("[") else f".{s}" for s in steps).lstrip(".")


def _shown(steps: Steps, value: Any) -> str | None:
    if value is None:
        return None
    chosen = [step for above, step in pairwise(steps) if above in FREE]
    if any(SECRETIVE.search(step) for step in chosen):
        return HIDDEN
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return redact(text)[:TEXT_LIMIT]
