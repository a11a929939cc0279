"""Keyed coalescing queue: who is looked at next, and when again.

Everything that happens (a change, a child's change, a timer) is one `add`. A key waits at most
once and is never worked on twice at a time; its size is bounded by the number of objects, so it
needs no overflow. Changes go before children, retries and resyncs.
"""

import asyncio
import heapq
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum

import structlog

from eventpipeline_operator.api.types import Key

log = structlog.get_logger()

BACKOFF_FIRST = 1.0
BACKOFF_LIMIT = 60.0
SETTLE_SECONDS = 0.1


class Wake(IntEnum):
    """Why an object is looked at; the smaller goes first."""

    CHANGE = 0
    CHILD = 1
    RETRY = 2
    RESYNC = 3


class Outcome(IntEnum):
    """What a pass says about the next one."""

    DONE = 0
    RETRY = 1
    STALLED = 2
    GONE = 3


@dataclass
class _Entry:
    pending: Wake | None = None
    since: float = 0.0
    running: bool = False
    failures: int = 0
    timer: asyncio.TimerHandle | None = None
    settling: asyncio.TimerHandle | None = None


def backoff(failures: int, jitter: Callable[[], float] = random.random) -> float:
    """Seconds before the next try: doubling, at most 60, shortened by up to a quarter."""
    pause = min(BACKOFF_LIMIT, BACKOFF_FIRST * 2.0 ** min(failures - 1, 10))
    return pause * (1.0 - jitter() / 4)


class Queue:
    """Runs a handler over keys with bounded concurrency."""

    def __init__(
        self,
        handler: Callable[[Key, Wake], Awaitable[Outcome]],
        *,
        concurrency: int = 16,
        resync_seconds: float = 120.0,
        due_in: Callable[[Key], float | None] = lambda _: None,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._handler = handler
        self._concurrency = concurrency
        self._resync = resync_seconds
        self._due_in = due_in
        self._waited = waited
        self._entries: dict[Key, _Entry] = {}
        self._ready: list[tuple[Wake, int, Key]] = []
        self._sequence = itertools.count()
        self._wakeup = asyncio.Event()

    def add(self, key: Key, wake: Wake) -> None:
        """Ask for a pass; a more urgent wish replaces a less urgent one."""
        entry = self._entries.setdefault(key, _Entry())
        if wake is Wake.CHILD:
            if entry.settling is None:
                loop = asyncio.get_running_loop()
                entry.settling = loop.call_later(SETTLE_SECONDS, self._settled, key)
            return
        self._enqueue(key, entry, wake)

    def remove(self, key: Key) -> None:
        """The object is gone."""
        entry = self._entries.pop(key, None)
        for timer in (entry.timer, entry.settling) if entry else ():
            if timer:
                timer.cancel()

    def oldest(self) -> float:
        """Seconds that the longest waiting (or running) key has been due."""
        now = asyncio.get_running_loop().time()
        due = [e.since for e in self._entries.values() if e.running or e.pending is not None]
        return now - min(due, default=now)

    def __len__(self) -> int:
        return sum(1 for e in self._entries.values() if e.pending is not None)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._concurrency):
                group.create_task(self._work())

    def _settled(self, key: Key) -> None:
        entry = self._entries.get(key)
        if entry:
            entry.settling = None
            self._enqueue(key, entry, Wake.CHILD)

    def _enqueue(self, key: Key, entry: _Entry, wake: Wake) -> None:
        if entry.pending is not None and entry.pending <= wake:
            return
        if entry.pending is None and not entry.running:
            entry.since = asyncio.get_running_loop().time()
        entry.pending = wake
        if not entry.running:
            heapq.heappush(self._ready, (wake, next(self._sequence), key))
            self._wakeup.set()

    async def _work(self) -> None:
        while True:
            taken = self._take()
            if taken is None:
                self._wakeup.clear()
                await self._wakeup.wait()
                continue
            await self._run_one(*taken)

    def _take(self) -> tuple[Key, _Entry, Wake] | None:
        while self._ready:
            wake, _, key = heapq.heappop(self._ready)
            entry = self._entries.get(key)
            if entry and not entry.running and entry.pending is wake:
                return key, entry, wake
        return None

    async def _run_one(self, key: Key, entry: _Entry, wake: Wake) -> None:
        entry.pending, entry.running = None, True
        self._waited(asyncio.get_running_loop().time() - entry.since)
        try:
            outcome = await self._handler(key, wake)
        except Exception:  # the one broad handler of this loop: log, then as any retry
            log.exception("pass failed", pipeline=str(key))
            outcome = Outcome.RETRY
        entry.running = False
        if self._entries.get(key) is entry:
            self._schedule(key, entry, outcome)

    def _schedule(self, key: Key, entry: _Entry, outcome: Outcome) -> None:
        if outcome is Outcome.GONE:
            self.remove(key)
            return
        done = outcome is Outcome.DONE
        entry.failures = 0 if done else entry.failures + 1
        if entry.timer:
            entry.timer.cancel()
        if not done:  # what a person mends elsewhere tells us nothing: stalled asks again too
            delay, wake = backoff(entry.failures), Wake.RETRY
        else:
            delay, wake = self._resync * random.uniform(0.9, 1.1), Wake.RESYNC  # noqa: S311
        due = self._due_in(key)
        if due is not None and due < delay:
            delay, wake = due, Wake.RETRY
        entry.timer = asyncio.get_running_loop().call_later(delay, self.add, key, wake)
        if entry.pending is not None:
            entry.since = asyncio.get_running_loop().time()
            heapq.heappush(self._ready, (entry.pending, next(self._sequence), key))
            self._wakeup.set()
