"""What was done for each object and why: the last ten generations, for `explain`.

A pass that did nothing and changed no condition (recording.py) leaves no trace, so that nothing is
written at rest. Passes never wait for the archive: what they left is written some seconds later,
many objects at a time.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from eventpipeline_operator.api.conditions import Condition
from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.reconcile.leases import Exists
from eventpipeline_operator.reconcile.ports import Archive
from eventpipeline_operator.reconcile.recording import Pass, current_pass

GENERATIONS = 10
CALLS = 30
RESULTS = 12
FLUSH_SECONDS = 3.0
LAST_FLUSH_SECONDS = 3.0

Json = dict[str, Any]


class Journal:
    """Entries that wait to be written, by key in the archive."""

    def __init__(self, archive: Archive, now: Callable[[], str]) -> None:
        self._archive = archive
        self._now = now
        self._pending: dict[str, Json | None] = {}
        self._writing = 0
        self._known: set[str] = set()
        self._swept = False

    def __len__(self) -> int:
        return len(self._pending) + self._writing

    @contextmanager
    def recording(
        self, pipeline: EventPipeline, cause: str, differences: tuple[str, ...]
    ) -> Iterator[None]:
        """One pass: what is recorded within belongs to it."""
        running = Pass(self._now())
        token = current_pass.set(running)
        self._known.add(archive_key(pipeline.key))
        try:
            yield
        finally:
            current_pass.reset(token)
            if differences or running.calls or running.results:
                self._take(pipeline, cause, differences, running)

    def forget(self, key: Key) -> None:
        """The object is gone, and its journal with it."""
        self._known.discard(archive_key(key))
        self._pending[archive_key(key)] = None

    async def run(self) -> None:
        """Write until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                await self.flush()
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_FLUSH_SECONDS):
                    await self.flush()

    async def flush(self) -> None:
        """Write what waits; what cannot be written waits on."""
        taken, self._pending = self._pending, {}
        if not taken:
            return
        self._writing = len(taken)
        try:
            merges = {key: _merger(fresh) for key, fresh in taken.items()}
            written = await self._archive.update(merges)
        finally:
            self._writing = 0
        for key in set(taken) - written:
            fresh, later = taken[key], self._pending.get(key, taken[key])
            joined = (
                merge_records(fresh, later) if fresh and later and fresh is not later else later
            )
            self._pending[key] = joined

    async def sweep(self, exists: Exists) -> None:
        """Remove, once, the journals of objects that went while nobody looked."""
        if self._swept:
            return
        for key, record in (await self._archive.load()).items():
            namespace, _, name = key.partition(".")
            unknown = key not in self._known and key not in self._pending
            if unknown and not await exists(Key(namespace, name), record.get("uid", "")):
                self._pending[key] = None
        self._swept = True

    def _take(
        self, pipeline: EventPipeline, cause: str, differences: tuple[str, ...], done: Pass
    ) -> None:
        entry = {
            "generation": pipeline.generation,
            "first": done.at,
            "last": done.at,
            "causes": {cause: 1},
            "differences": [done.text(d) for d in differences],
            "calls": [
                {"at": done.at, "call": c, "object": done.text(o), "result": done.text(r)}
                for c, o, r in done.calls
            ],
            "results": [_result(done, condition) for condition in done.results],
        }
        fresh = {"uid": pipeline.uid, "generations": [entry]}
        key = archive_key(pipeline.key)
        self._pending[key] = merge_records(self._pending.get(key), fresh)


def archive_key(key: Key) -> str:
    """Namespace and name; a namespace has no dot."""
    return f"{key.namespace}.{key.name}"


def merge_records(before: Mapping[str, Any] | None, fresh: Json) -> Json:
    """Entries of one generation become one; the oldest and what is too much go."""
    if before is None or before.get("uid") != fresh["uid"]:
        before = {"generations": []}
    generations = [dict(g) for g in before["generations"]]
    for entry in fresh["generations"]:
        if generations and generations[-1]["generation"] == entry["generation"]:
            generations[-1] = _joined(generations[-1], entry)
        else:
            generations.append(_joined({}, entry))
    return {"uid": fresh["uid"], "generations": generations[-GENERATIONS:]}


def _joined(before: Json, entry: Json) -> Json:
    calls = [*before.get("calls", ()), *entry["calls"]]
    left_out = before.get("callsLeftOut", 0) + entry.get("callsLeftOut", 0)
    left_out += max(0, len(calls) - CALLS)
    causes = dict(before.get("causes", {}))
    for cause, times in entry["causes"].items():
        causes[cause] = causes.get(cause, 0) + times
    return {
        "generation": entry["generation"],
        "first": before.get("first", entry["first"]),
        "last": entry["last"],
        "causes": causes,
        "differences": before.get("differences") or entry["differences"],
        "calls": calls[-CALLS:],
        **({"callsLeftOut": left_out} if left_out else {}),
        "results": [*before.get("results", ()), *entry["results"]][-RESULTS:],
    }


def _merger(fresh: Json | None) -> Callable[[Mapping[str, Any] | None], Json | None]:
    return lambda before: merge_records(before, fresh) if fresh else None


def _result(done: Pass, condition: Condition) -> Json:
    return {
        "at": done.at,
        "type": str(condition.type),
        "status": str(condition.status),
        "reason": str(condition.reason),
        "message": done.text(condition.message),
    }
