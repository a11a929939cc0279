"""Between delivery and queue: the latest body of each object, and whether it is worth a pass."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from eventpipeline_operator.api.types import Key
from eventpipeline_operator.reconcile.pipeline import Reconciler
from eventpipeline_operator.reconcile.queue import Outcome, Queue, Wake

Body = Mapping[str, Any]


@dataclass(frozen=True)
class _Kept:
    """A body at rest; compressed, because thousands of them are kept."""

    uid: str
    version: str
    fingerprint: tuple[Any, ...]
    packed: bytes


class Inbox:
    """Takes deliveries in and runs passes over the newest bodies."""

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler
        self._kept: dict[Key, _Kept] = {}
        self._news: dict[Key, Wake] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def note(self, body: Body) -> None:
        """An object was seen or has changed; passes come with the delivery that follows."""
        meta = body["metadata"]
        key = Key(meta["namespace"], meta["name"])
        before = self._kept.get(key)
        if before and (before.uid, before.version) == (meta["uid"], meta.get("resourceVersion")):
            return
        kept = _keep(body)
        self._kept[key] = kept
        if before is None or before.fingerprint != kept.fingerprint:
            concerned = self._reconciler.claim(body)
            if before and before.uid != kept.uid:
                concerned |= self._reconciler.forget(before.uid)
            self._news |= dict.fromkeys(concerned, Wake.CHANGE)
            self._news[key] = min(_urgency(body), self._news.get(key, Wake.RESYNC))

    def deliver(self, queue: Queue, kind: str | None, body: Body) -> None:
        """An object was seen (kind None), changed or deleted."""
        if kind == "DELETED":
            meta = body["metadata"]
            self._drop(queue, Key(meta["namespace"], meta["name"]), body)
            return
        self.note(body)
        news, self._news = self._news, {}
        for key, wake in news.items():
            queue.add(key, wake)

    def due_in(self, key: Key) -> float | None:
        """Seconds until an object wants a pass of itself."""
        kept = self._kept.get(key)
        return self._reconciler.due_in(kept.uid) if kept else None

    async def run_pass(self, key: Key, wake: Wake) -> Outcome:
        """The queue's handler."""
        kept = self._kept.get(key)
        if kept is None:
            return Outcome.GONE
        body = json.loads(zlib.decompress(kept.packed))
        with structlog.contextvars.bound_contextvars(
            pipeline=str(key), generation=body["metadata"]["generation"]
        ):
            return await self._reconciler.reconcile(body, wake)

    def _drop(self, queue: Queue, key: Key, body: Body) -> None:
        kept = self._kept.get(key)
        if kept and kept.uid == body["metadata"]["uid"]:
            del self._kept[key]
            queue.remove(key)
            self._reconciler.bury(body)
            for other in self._reconciler.forget(kept.uid) - {key}:
                queue.add(other, Wake.CHANGE)


def _urgency(body: Body) -> Wake:
    """After a restart, objects that were settled before do not hold up those that are not."""
    meta, status = body["metadata"], body.get("status") or {}
    settled = status.get("observedGeneration") == meta["generation"]
    return Wake.RESYNC if settled and "deletionTimestamp" not in meta else Wake.CHANGE


def _keep(body: Body) -> _Kept:
    meta = {k: v for k, v in body["metadata"].items() if k != "managedFields"}
    slim = {"metadata": meta, "spec": body["spec"], "status": body.get("status") or {}}
    # Our own status writes come back as deliveries: they are no news.
    fingerprint = (meta["uid"], meta["generation"], meta.get("deletionTimestamp"))
    version = meta.get("resourceVersion", "")
    return _Kept(meta["uid"], version, fingerprint, zlib.compress(json.dumps(slim).encode(), 1))
