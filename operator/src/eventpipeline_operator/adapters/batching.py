"""Merges what many passes want of one server into few calls: a keyed, coalescing queue.

One call runs at a time; what is asked for meanwhile goes into the next. Who asks waits for the
answer, so nothing piles up beyond what passes are under way, and nothing is ever refused.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

W = TypeVar("W")
V = TypeVar("V")

LINGER_SECONDS = 0.005
GATHER_LONGEST = 0.5


@dataclass(eq=False)
class _Batch(Generic[W, V]):
    """The names of one call, each with what is wanted of it."""

    wishes: dict[str, W] = field(default_factory=dict)
    answers: asyncio.Future[Mapping[str, V]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def takes(self, name: str, wish: W, limit: int) -> bool:
        """Whether there is room, or the very same was asked for already."""
        if name in self.wishes:
            return self.wishes[name] == wish
        return len(self.wishes) < limit


class Batcher(Generic[W, V]):
    """Collects wishes by name, at most `limit` a call, and hands each caller its share.

    A name is in a call once: the same wish shares the answer, another wish for it waits for a later
    call. At most `waiting` calls are prepared; who finds them full waits for room. With
    `gather`, a call waits until nobody has wished for more for so many seconds, half a second long.
    """

    def __init__(
        self,
        call: Callable[[Mapping[str, W]], Awaitable[Mapping[str, V]]],
        *,
        limit: int = 1000,
        waiting: int = 4,
        gather: float = 0.0,
    ) -> None:
        self._call = call
        self._limit = limit
        self._gather = gather
        self._room = asyncio.Semaphore(waiting)
        self._batches: deque[_Batch[W, V]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def ask(self, wishes: Mapping[str, W]) -> dict[str, V]:
        """The answers by name; a name that the call does not answer is left out."""
        shares: dict[_Batch[W, V], list[str]] = {}
        for name, wish in wishes.items():
            batch = await self._place(name, wish)
            shares.setdefault(batch, []).append(name)
        found: dict[str, V] = {}
        for batch, names in shares.items():
            # A cancelled caller must not cancel the others' call.
            answers = await asyncio.shield(batch.answers)
            found.update({name: answers[name] for name in names if name in answers})
        return found

    async def _place(self, name: str, wish: W) -> _Batch[W, V]:
        while not (self._batches and self._batches[-1].takes(name, wish, self._limit)):
            await self._room.acquire()
            if self._batches and self._batches[-1].takes(name, wish, self._limit):
                self._room.release()  # another caller has opened one meanwhile
                break
            self._batches.append(_Batch())
            if self._task is None:
                self._task = asyncio.create_task(self._run())
        self._batches[-1].wishes[name] = wish
        return self._batches[-1]

    async def _run(self) -> None:
        await asyncio.sleep(LINGER_SECONDS)
        while self._batches:
            await self._complete(self._batches[0])
            batch = self._batches.popleft()
            self._room.release()
            try:
                batch.answers.set_result(await self._call(batch.wishes))
            except Exception as error:  # noqa: BLE001 - it is the callers' to classify
                batch.answers.set_exception(error)
                batch.answers.exception()  # callers may all have been cancelled
        self._task = None

    async def _complete(self, batch: _Batch[W, V]) -> None:
        until, size = time.monotonic() + GATHER_LONGEST, 0
        while self._gather and size < len(batch.wishes) < self._limit and time.monotonic() < until:
            size = len(batch.wishes)
            await asyncio.sleep(self._gather)
