"""The Archive port: ConfigMaps of the operator's own namespace, a few that share all journals.

A journal is one key of one ConfigMap, JSON in the clear for kubectl and `explain`. A write reads
the ConfigMap, joins what is there with what is new and patches only the keys concerned; nothing
stays in memory. A ConfigMap that grows too large loses the journals that were longest untouched.
"""

import json
import zlib
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import structlog

from eventpipeline_operator.adapters.kube.client import ApiError, KubeClient
from eventpipeline_operator.adapters.kube.resources import CONFIG_MAP, Ref
from eventpipeline_operator.adapters.metrics import OBJECT_WRITES
from eventpipeline_operator.reconcile.ports import Merge

log = structlog.get_logger()

SHARDS = 16
NAME = "eventpipeline-journal"
SHARD_BYTES = 768 * 1024


class KubeArchive:
    """Journals by key."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def load(self) -> dict[str, dict[str, Any]]:
        """All journals."""
        found: dict[str, dict[str, Any]] = {}
        for number in range(SHARDS):
            try:
                data = await self._read(self._ref(number))
            except ApiError as error:
                raise error.classified(str(self._ref(number))) from error
            found |= {key: json.loads(text) for key, text in (data or {}).items()}
        return found

    async def read(self, key: str) -> dict[str, Any] | None:
        """One journal."""
        ref = self._ref(_shard(key))
        try:
            text = (await self._read(ref) or {}).get(key)
        except ApiError as error:
            raise error.classified(str(ref)) from error
        record: dict[str, Any] | None = json.loads(text) if text else None
        return record

    async def update(self, changes: Mapping[str, Merge]) -> set[str]:
        """Join journals with what is new; the keys that could be written."""
        shards: defaultdict[int, dict[str, Merge]] = defaultdict(dict)
        for key, merge in changes.items():
            shards[_shard(key)][key] = merge
        written: set[str] = set()
        for number, merges in shards.items():
            try:
                await self._update(self._ref(number), merges)
            except ApiError as error:
                log.info("journal not written", shard=number, error=str(error))
                continue
            written.update(merges)
        return written

    async def _update(self, ref: Ref, merges: Mapping[str, Merge]) -> None:
        data = await self._read(ref)
        before = data or {}
        patch: dict[str, str | None] = {}
        for key, merge in merges.items():
            text = before.get(key)
            record = merge(json.loads(text) if text else None)
            patch[key] = None if record is None else json.dumps(record, ensure_ascii=False)
        patch |= _too_much({**before, **patch})
        patch = {key: text for key, text in patch.items() if before.get(key) != text}
        if patch:
            await self._write(ref, patch, exists=data is not None)

    async def _read(self, ref: Ref) -> dict[str, str] | None:
        live = await self._client.get(ref)
        return None if live is None else dict(live.get("data") or {})

    async def _write(self, ref: Ref, patch: Mapping[str, str | None], *, exists: bool) -> None:
        if exists:
            await self._client.merge(ref, {"data": patch})
        else:
            await self._client.create(CONFIG_MAP, self._namespace, _manifest(ref, patch))
        result = "configured" if exists else "created"
        OBJECT_WRITES.labels(kind="Journal", result=result).inc()

    def _ref(self, number: int) -> Ref:
        return Ref(CONFIG_MAP.name, self._namespace, f"{NAME}-{number:x}")


def _shard(key: str) -> int:
    return zlib.crc32(key.encode()) % SHARDS


def _too_much(data: Mapping[str, str | None]) -> dict[str, str | None]:
    """Removes the journals that were longest untouched until the rest fits."""
    sizes = {key: len(text.encode()) + len(key) for key, text in data.items() if text}
    excess = sum(sizes.values()) - SHARD_BYTES
    removed: dict[str, str | None] = {}
    for key in sorted(sizes, key=lambda k: _touched(data[k] or "{}")) if excess > 0 else ():
        if excess <= 0:
            break
        removed[key] = None
        excess -= sizes[key]
    return removed


def _touched(text: str) -> str:
    generations = json.loads(text).get("generations") or [{}]
    last: str = generations[-1].get("last", "")
    return last


def _manifest(ref: Ref, data: Mapping[str, str | None]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": ref.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "data": {key: text for key, text in data.items() if text is not None},
    }
