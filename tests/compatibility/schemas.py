"""What a newer schema may not do to objects that an older one accepted.

Compares two versions of a structural schema and names each change after which a stored object, or
a manifest in somebody's repository, may be refused, cut or read differently.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

UPPER = ("maxLength", "maxItems", "maxProperties", "maximum")
LOWER = {"minLength": 0, "minItems": 0, "minProperties": 0, "minimum": float("-inf")}
FIXED = (
    "type", "pattern", "format", "default", "nullable", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
)  # fmt: skip


def find_breaks(old: Json, new: Json, path: str = "") -> Iterator[str]:
    """Every incompatible change below a node, by its path."""
    yield from _narrowed(old, new, path)
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, child in before.items():
        here = f"{path}.{name}"
        if name in after:
            yield from find_breaks(child, after[name], here)
        else:
            yield f"{here}: removed"
    for name in set(new.get("required", ())) - set(old.get("required", ())):
        if "default" not in after.get(name, {}):
            yield f"{path}.{name}: has become required"
    for part, sign in (("items", "[]"), ("additionalProperties", "{}")):
        if part in old and not isinstance(old[part], bool):
            yield from find_breaks(old[part], new.get(part, {}), path + sign)


def _narrowed(old: Json, new: Json, path: str) -> Iterator[str]:
    yield from _bounded(old, new, path)
    for key in FIXED:
        if new.get(key) != old.get(key):
            yield f"{path}: {key} was {old.get(key)!r} and is {new.get(key)!r}"
    if "enum" in new:
        gone = set(old.get("enum", ["any value"])) - set(new["enum"])
        if gone:
            yield f"{path}: enum has lost {sorted(gone)}"
    known = {_rule(each) for each in old.get("x-kubernetes-validations", ())}
    for each in new.get("x-kubernetes-validations", ()):
        if _rule(each) not in known:
            yield f"{path}: a rule has come: {_rule(each)}"


def _bounded(old: Json, new: Json, path: str) -> Iterator[str]:
    for key in UPPER:
        if key in new and new[key] < old.get(key, float("inf")):
            yield f"{path}: {key} has become {new[key]}"
    for key, least in LOWER.items():
        if key in new and new[key] > old.get(key, least):
            yield f"{path}: {key} has become {new[key]}"


def _rule(validation: Json) -> str:
    return " ".join(str(validation["rule"]).split())
