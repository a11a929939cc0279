"""Merges a user's podTemplate over a generated one. Pure."""

from collections.abc import Mapping
from typing import Any


def overlay(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Maps merge, lists of named items merge by name, any other value replaces; null removes."""
    merged = dict(base)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _merge(base: object, patch: object) -> object:
    if isinstance(base, Mapping) and isinstance(patch, Mapping):
        return overlay(base, patch)
    if isinstance(base, list) and isinstance(patch, list) and _named(base) and _named(patch):
        items = {item["name"]: item for item in base}
        for item in patch:
            items[item["name"]] = overlay(items.get(item["name"], {}), item)
        return list(items.values())
    return patch


def _named(items: list[Any]) -> bool:
    return all(isinstance(item, Mapping) and "name" in item for item in items)
