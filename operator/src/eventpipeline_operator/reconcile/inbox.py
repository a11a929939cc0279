"""Between delivery and queue: the latest body of each object, and whether it is worth a pass."""

import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from eventpipeline_operator.api.types import Key
from eventpipeline_operator.errors import ReconcileError
from eventpipeline_operator.reconcile.leases import Exists
from eventpipeline_operator.reconcile.pipeline import Reconciler
from eventpipeline_operator.reconcile.queue import Outcome, Queue, Wake

log = structlog.get_logger()

Body = Mapping[str, Any]

SILENT_SECONDS = 30.0


@dataclass(frozen=True)
class _Kept:
    """A body at rest; compressed, because thousands of them are kept."""

    uid: str
    version: str
    fingerprint: tuple[Any, ...]
    packed: bytes


class Inbox:
    """Takes deliveries in and runs passes over the newest bodies.

    A watch that broke off may never tell that an object was deleted meanwhile. An object that was
    not heard of for a while is looked for before a pass, which would build up again what is gone.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        exists: Exists,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reconciler = reconciler
        self._exists = exists
        self._clock = clock
        self._kept: dict[Key, _Kept] = {}
        self._listed: dict[Key, str] = {}
        self._heard_of: dict[Key, float] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def note(self, body: Body) -> None:
        """An object was there at the start; its pass comes with its delivery.

        So all claims are known before the first pass, and none is made for an object whose end
        nobody will tell of.
        """
        key = _key(body)
        self._take_in(key, body)
        self._listed[key] = body["metadata"]["uid"]

    def deliver(self, queue: Queue, kind: str | None, body: Body) -> None:
        """An object was seen (kind None), changed or deleted."""
        key = _key(body)
        listed = self._listed.pop(key, None)
        if kind == "DELETED":
            self._drop(queue, key, body)
            return
        news = self._take_in(key, body)
        if listed or key in news:
            news[key] = _urgency(body)
        for each, wake in news.items():
            if each not in self._listed:
                queue.add(each, wake)

    async def forget_ended(self, queue: Queue) -> None:
        """Drop objects that ended after they were noted and before they could be delivered."""
        for key, uid in tuple(self._listed.items()):
            if not await self._exists(key, uid) and key in self._listed:
                del self._listed[key]
                self._drop(queue, key, _unpack(self._kept[key]))

    def _take_in(self, key: Key, body: Body) -> dict[Key, Wake]:
        """Keep the body; whose pass it asks for."""
        self._heard_of[key] = self._clock()
        meta, before = body["metadata"], self._kept.get(key)
        if before and (before.uid, before.version) == (meta["uid"], meta.get("resourceVersion")):
            return {}
        kept = _keep(body)
        self._kept[key] = kept
        if before and before.fingerprint == kept.fingerprint:
            return {}
        concerned = self._reconciler.claim(body)
        if before and before.uid != kept.uid:
            concerned |= self._reconciler.forget(before.uid)
        return dict.fromkeys({key, *concerned}, Wake.CHANGE)

    def due_in(self, key: Key) -> float | None:
        """Seconds until an object wants a pass of itself."""
        kept = self._kept.get(key)
        return self._reconciler.due_in(kept.uid) if kept else None

    async def run_pass(self, key: Key, wake: Wake) -> Outcome:
        """The queue's handler."""
        kept = self._kept.get(key)
        if kept is None:
            return Outcome.GONE
        body = _unpack(kept)
        try:
            if await self._is_gone(key, kept, wake):
                self._forget(key, kept.uid, body)
                return Outcome.GONE
        except ReconcileError as error:
            log.info("not known whether it is still there", pipeline=str(key), error=str(error))
            return Outcome.RETRY
        with structlog.contextvars.bound_contextvars(
            pipeline=str(key), generation=body["metadata"]["generation"]
        ):
            return await self._reconciler.reconcile(body, wake)

    def _drop(self, queue: Queue, key: Key, body: Body) -> None:
        kept = self._kept.get(key)
        if kept and kept.uid == body["metadata"]["uid"]:
            queue.remove(key)
            for other in self._forget(key, kept.uid, body) - {key}:
                queue.add(other, Wake.CHANGE)

    async def _is_gone(self, key: Key, kept: _Kept, wake: Wake) -> bool:
        silent = self._clock() - self._heard_of[key] > SILENT_SECONDS
        if wake is Wake.CHANGE or not silent:
            return False
        if not await self._exists(key, kept.uid):
            return self._kept.get(key) is kept
        self._heard_of[key] = self._clock()
        return False

    def _forget(self, key: Key, uid: str, body: Body) -> set[Key]:
        """The object is gone; returns the others that may now have its topics."""
        del self._kept[key], self._heard_of[key]
        self._reconciler.bury(body)
        return self._reconciler.forget(uid)


def _key(body: Body) -> Key:
    return Key(body["metadata"]["namespace"], body["metadata"]["name"])


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


def _unpack(kept: _Kept) -> Body:
    body: Body = json.loads(zlib.decompress(kept.packed))
    return body
