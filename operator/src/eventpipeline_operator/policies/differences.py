"""What changed between two specs, as sentences that show no value but of fields known as harmless.

Anybody may write anything into config, annotations or podTemplate, passwords too: of those only the
path is told. Pure.
"""

from collections.abc import Iterator, Mapping
from typing import Any

SHOWN = frozenset(
    {
        "deletionPolicy", "drainSeconds", "image", "max", "min", "partitions", "path", "port",
         "replicas", "replicationFactor", "suspend", "timeoutSeconds", "topicName",
        "version",
    }
)  # fmt: skip
LIMIT = 20


def describe_differences(before: Any, after: Any) -> tuple[str, ...]:
    """At most twenty sentences, and one that counts the rest."""
    found = list(_compare("spec", before, after, ""))
    if len(found) <= LIMIT:
        return tuple(found)
    return (*found[:LIMIT], f"and {len(found) - LIMIT} more")


def _compare(path: str, before: Any, after: Any, field: str) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in sorted({*before, *after}):
            yield from _compare(f"{path}.{name}", before.get(name), after.get(name), name)
    elif _named(before) and _named(after):
        was, now = ({item["name"]: item for item in items} for items in (before, after))
        for name in sorted({*was, *now}):
            yield from _compare(f"{path}[{name}]", was.get(name), now.get(name), "")
    else:
        yield f"{path} {_change(before, after, field)}"


def _change(before: Any, after: Any, field: str) -> str:
    shown = field in SHOWN
    if before is None:
        return f"added: {after}" if shown else "added"
    if after is None:
        return "removed"
    return f"{before} → {after}" if shown else "changed"


def _named(items: Any) -> bool:
    return isinstance(items, list) and all(
        isinstance(item, Mapping) and "name" in item for item in items
    )
