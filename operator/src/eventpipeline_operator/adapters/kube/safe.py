"""The Safe port: Secrets of the operator's own namespace, a few that share all records.

A record is one key of one Secret, written by a merge patch, so that records never collide; what
has been read stays in memory, because only the leader writes.
"""

import asyncio
import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from eventpipeline_operator.adapters.kube.client import NOT_FOUND, ApiError, KubeClient
from eventpipeline_operator.adapters.kube.resources import SECRET, Json, Ref
from eventpipeline_operator.adapters.metrics import OBJECT_WRITES

SHARDS = 16
NAME = "eventpipeline-vault"


class KubeSafe:
    """Records by key."""

    def __init__(self, client: KubeClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._shards: dict[int, dict[str, str]] = {}
        self._locks = [asyncio.Lock() for _ in range(SHARDS)]

    async def load(self, key: str) -> dict[str, Any] | None:
        """One record."""
        number = _shard(key)
        async with self._locks[number]:
            text = (await self._read(number)).get(key)
        record: dict[str, Any] | None = json.loads(base64.b64decode(text)) if text else None
        return record

    async def keys(self, prefix: str) -> list[str]:
        """Keys of all records with a prefix."""
        found: list[str] = []
        for number in range(SHARDS):
            async with self._locks[number]:
                found += [k for k in await self._read(number) if k.startswith(prefix)]
        return found

    async def store(self, key: str, record: Mapping[str, Any] | None) -> None:
        """Write one record, or remove it."""
        number = _shard(key)
        text = None
        if record is not None:
            text = base64.b64encode(json.dumps(record).encode()).decode()
        async with self._locks[number]:
            shard = await self._read(number)
            if shard.get(key) == text:
                return
            await self._write(number, {key: text})
            if text is None:
                shard.pop(key, None)
            else:
                shard[key] = text

    async def _read(self, number: int) -> dict[str, str]:
        if number not in self._shards:
            try:
                live = await self._client.get(self._ref(number))
            except ApiError as error:
                raise error.classified(str(self._ref(number))) from error
            self._shards[number] = dict((live or {}).get("data") or {})
        return self._shards[number]

    async def _write(self, number: int, data: Mapping[str, str | None]) -> None:
        ref = self._ref(number)
        result = "configured"
        try:
            try:
                await self._client.merge(ref, {"data": data})
            except ApiError as error:
                if error.status != NOT_FOUND:
                    raise
                await self._client.create(SECRET, self._namespace, _manifest(ref, data))
                result = "created"
        except ApiError as error:
            raise error.classified(str(ref)) from error
        OBJECT_WRITES.labels(kind="VaultRecord", result=result).inc()

    def _ref(self, number: int) -> Ref:
        return Ref(SECRET.name, self._namespace, f"{NAME}-{number:x}")


def _manifest(ref: Ref, data: Mapping[str, str | None]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": ref.kind,
        "metadata": {"name": ref.name, "namespace": ref.namespace},
        "data": {key: text for key, text in data.items() if text is not None},
    }


def _shard(key: str) -> int:
    return zlib.crc32(key.encode()) % SHARDS
