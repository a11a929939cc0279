"""The Legacies port: one ConfigMap of the operator's namespace, an entry for each object gone.

Only the leader writes it. It is bounded: the oldest entries go first, they are in the log as well.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from eventpipeline_operator.adapters.kube.client import NOT_FOUND, ApiError, KubeClient
from eventpipeline_operator.adapters.kube.resources import CONFIG_MAP, Ref
from eventpipeline_operator.adapters.metrics import OBJECT_WRITES
from eventpipeline_operator.reconcile.ports import Legacy

NAME = "eventpipeline-left-behind"
ENTRY_BYTES = 256 * 1024
TOTAL_BYTES = 768 * 1024


class KubeLegacies:
    """Records by object."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._ref = Ref(CONFIG_MAP.name, namespace, NAME)
        self._entries: dict[str, str] | None = None
        self._lock = asyncio.Lock()

    async def record(self, legacies: Sequence[Legacy]) -> None:
        """Write them down; the same again changes nothing."""
        new = {_key(legacy): render(legacy) for legacy in legacies}
        async with self._lock:
            try:
                await self._write(new)
            except ApiError as error:
                self._entries = None
                raise error.classified(str(self._ref)) from error

    async def _write(self, new: dict[str, str]) -> None:
        if self._entries is None:
            live = await self._client.get(self._ref)
            self._entries = dict((live or {}).get("data") or {})
        known = self._entries
        new = {key: text for key, text in new.items() if not _same(known.get(key), text)}
        if not new:
            return
        kept = bounded({**known, **new})
        patch: dict[str, Any] = {k: None for k in known if k not in kept}
        patch |= {k: text for k, text in new.items() if k in kept}
        try:
            await self._client.merge(self._ref, {"data": patch})
            result = "configured"
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            metadata = {"name": self._ref.name, "namespace": self._ref.namespace}
            body = {"apiVersion": "v1", "kind": CONFIG_MAP.name, "metadata": metadata, "data": kept}
            await self._client.create(CONFIG_MAP, self._ref.namespace, body)
            result = "created"
        self._entries = kept
        OBJECT_WRITES.labels(kind="LeftBehindRecord", result=result).inc()


def render(legacy: Legacy) -> str:
    """One entry; where all messages are too much, the topics and their obstacles alone."""
    entry: dict[str, Any] = {"at": legacy.at, "uid": legacy.uid, "kafka": legacy.servers}
    if legacy.users:
        entry["users"] = list(legacy.users)
    full = {t.topic: f"{t.obstacle}: {t.message}".rstrip(": ") for t in legacy.topics}
    text = json.dumps({**entry, "topics": full}, indent=1)
    if len(text) <= ENTRY_BYTES:
        return text
    short = {t.topic: str(t.obstacle) for t in legacy.topics}
    while len(text := json.dumps({**entry, "topics": short})) > ENTRY_BYTES:
        short = dict(list(short.items())[: len(short) // 2])
        entry["more"] = len(legacy.topics) - len(short)
    return text


def bounded(entries: dict[str, str]) -> dict[str, str]:
    """The newest entries that fit."""
    kept, size = {}, 0
    for key in sorted(entries, key=lambda k: str(_read(entries[k]).get("at", "")), reverse=True):
        size += len(key) + len(entries[key])
        if size > TOTAL_BYTES:
            break
        kept[key] = entries[key]
    return kept


def _key(legacy: Legacy) -> str:
    return f"{legacy.key.namespace}.{legacy.key.name}.{legacy.uid[:8]}"


def _read(text: str) -> dict[str, Any]:
    """An entry; nothing when somebody else wrote there."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _same(known: str | None, text: str) -> bool:
    """Whether nothing but the time differs."""
    return known is not None and {**_read(known), "at": ""} == {**_read(text), "at": ""}
