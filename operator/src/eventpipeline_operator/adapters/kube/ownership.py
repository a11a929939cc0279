"""Which fields of a live object are ours, with their values, reduced to a digest.

Server-side apply records in metadata.managedFields what our field manager set. Extracting those
fields from a live object gives back the manifest that was applied; when it equals the manifest
that is wanted, nothing needs writing, and that holds after a restart as well, because the record
lives in the object itself. Drift shows as a lost or changed field; fields of others do not show.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from eventpipeline_operator.adapters.kube.resources import Json
from eventpipeline_operator.api.names import FIELD_MANAGER

Fields = Mapping[str, Any]


def digest_wanted(manifest: Mapping[str, Any]) -> bytes:
    """Digest of a manifest without its identity, which managedFields never contains."""
    body = {k: v for k, v in manifest.items() if k not in ("apiVersion", "kind")}
    meta = {k: v for k, v in manifest["metadata"].items() if k not in ("name", "namespace")}
    return _digest({**body, "metadata": meta})


def digest_owned(live: Mapping[str, Any]) -> bytes:
    """Digest of what our field manager owns in a live object."""
    return _digest(extract_owned(live))


def extract_owned(live: Mapping[str, Any]) -> Json:
    """The part of a live object that our field manager applied."""
    for entry in live["metadata"].get("managedFields", ()):
        ours = entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply"
        if ours and not entry.get("subresource"):
            extracted: Json = _extract(live, entry.get("fieldsV1", {}))
            return extracted
    return {}


def _extract(live: Any, fields: Fields) -> Any:
    if not any(key != "." for key in fields):
        return live
    if isinstance(live, dict):
        return {
            key[2:]: _extract(live[key[2:]], sub)
            for key, sub in fields.items()
            if key.startswith("f:") and key[2:] in live
        }
    if isinstance(live, list):
        return _extract_list(live, fields)
    return live


def _extract_list(live: list[Any], fields: Fields) -> list[Any]:
    keyed = [(json.loads(k[2:]), sub) for k, sub in fields.items() if k.startswith("k:")]
    values = [json.loads(k[2:]) for k in fields if k.startswith("v:")]
    found = []
    for item in live:
        if item in values:
            found.append(item)
        for keys, sub in keyed:
            if isinstance(item, dict) and all(item.get(k) == v for k, v in keys.items()):
                found.append(_extract(item, sub))
    return found


def _digest(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
