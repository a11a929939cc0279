"""The queue: coalescing, order, pauses, and one pass at a time per key."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventpipeline_operator.api.types import Key
from eventpipeline_operator.reconcile import queue as module
from eventpipeline_operator.reconcile.queue import Outcome, Queue, Wake, backoff

A, B, C = Key("ns", "a"), Key("ns", "b"), Key("ns", "c")


class Handler:
    """Records passes; `gate` holds them up, `outcomes` are handed out in turn."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.passes: list[tuple[Key, Wake]] = []
        self.running: list[Key] = []
        self.overlaps = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.changed = asyncio.Event()
        self._outcomes = list(outcomes)

    async def __call__(self, key: Key, wake: Wake) -> Outcome:
        self.overlaps += key in self.running
        self.running.append(key)
        self.passes.append((key, wake))
        self.changed.set()
        await self.gate.wait()
        self.running.remove(key)
        return self._outcomes.pop(0) if self._outcomes else Outcome.DONE

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def running(
    handler: Callable[[Key, Wake], Awaitable[Outcome]], *, concurrency: int = 4
) -> AsyncIterator[Queue]:
    queue = Queue(handler, concurrency=concurrency, resync_seconds=1000)
    task = asyncio.create_task(queue.run())
    yield queue
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_wishes_for_one_key_become_one_pass() -> None:
    handler = Handler()
    async with running(handler) as queue:
        for _ in range(5):
            queue.add(A, Wake.CHANGE)
        await handler.until(lambda: len(handler.passes) == 1)
        queue.add(B, Wake.CHANGE)
        await handler.until(lambda: (B, Wake.CHANGE) in handler.passes)
    assert handler.passes == [(A, Wake.CHANGE), (B, Wake.CHANGE)]


async def test_a_wish_during_a_pass_means_one_more_pass_afterwards() -> None:
    handler = Handler()
    handler.gate.clear()
    async with running(handler) as queue:
        queue.add(A, Wake.CHANGE)
        await handler.until(lambda: len(handler.passes) == 1)
        queue.add(A, Wake.CHANGE)
        queue.add(A, Wake.CHANGE)
        handler.gate.set()
        await handler.until(lambda: len(handler.passes) == 2)
    assert handler.overlaps == 0


async def test_changes_go_before_resyncs() -> None:
    handler = Handler()
    handler.gate.clear()
    async with running(handler, concurrency=1) as queue:
        queue.add(A, Wake.RESYNC)
        await handler.until(lambda: len(handler.passes) == 1)
        queue.add(B, Wake.RESYNC)
        queue.add(C, Wake.CHANGE)
        handler.gate.set()
        await handler.until(lambda: len(handler.passes) == 3)
    assert [key for key, _ in handler.passes] == [A, C, B]


async def test_an_urgent_wish_replaces_a_waiting_one() -> None:
    handler = Handler()
    handler.gate.clear()
    async with running(handler, concurrency=1) as queue:
        queue.add(A, Wake.CHANGE)
        await handler.until(lambda: len(handler.passes) == 1)
        queue.add(B, Wake.RESYNC)
        queue.add(B, Wake.CHANGE)
        handler.gate.set()
        await handler.until(lambda: len(handler.passes) == 2)
        queue.add(C, Wake.CHANGE)
        await handler.until(lambda: len(handler.passes) == 3)
    assert handler.passes[1:] == [(B, Wake.CHANGE), (C, Wake.CHANGE)]


async def test_a_failed_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BACKOFF_FIRST", 0.001)
    handler = Handler(Outcome.RETRY, Outcome.STALLED, Outcome.DONE)
    async with running(handler) as queue:
        queue.add(A, Wake.CHANGE)
        await handler.until(lambda: len(handler.passes) == 3)
    assert [wake for _, wake in handler.passes] == [Wake.CHANGE, Wake.RETRY, Wake.RETRY]


async def test_a_pass_that_raises_is_tried_again_and_the_queue_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "BACKOFF_FIRST", 0.001)
    handler = Handler()

    async def fail_once(key: Key, wake: Wake) -> Outcome:
        if not handler.passes:
            await handler(key, wake)
            raise RuntimeError
        return await handler(key, wake)

    async with running(fail_once) as queue:
        queue.add(A, Wake.CHANGE)
        await handler.until(lambda: len(handler.passes) == 2)


async def test_changes_of_children_settle_into_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.01)
    handler = Handler()
    async with running(handler) as queue:
        for _ in range(10):
            queue.add(A, Wake.CHILD)
        await handler.until(lambda: len(handler.passes) == 1)
        queue.add(B, Wake.CHANGE)
        await handler.until(lambda: len(handler.passes) == 2)
    assert handler.passes == [(A, Wake.CHILD), (B, Wake.CHANGE)]


async def test_a_removed_key_is_forgotten() -> None:
    handler = Handler(Outcome.GONE)
    async with running(handler, concurrency=1) as queue:
        queue.add(A, Wake.CHANGE)
        queue.add(B, Wake.CHANGE)
        queue.remove(B)
        await handler.until(lambda: len(handler.passes) == 1)
        queue.add(C, Wake.CHANGE)
        await handler.until(lambda: len(handler.passes) == 2)
        assert len(queue) == 0
    assert [key for key, _ in handler.passes] == [A, C]


async def test_one_slow_key_does_not_hold_up_the_others() -> None:
    slow = asyncio.Event()
    handler = Handler()

    async def handle(key: Key, wake: Wake) -> Outcome:
        if key == A:
            await slow.wait()
        return await handler(key, wake)

    async with running(handle, concurrency=2) as queue:
        queue.add(A, Wake.CHANGE)
        for number in range(20):
            queue.add(Key("ns", str(number)), Wake.CHANGE)
        await handler.until(lambda: len(handler.passes) == 20)
        assert queue.oldest() > 0
        slow.set()
        await handler.until(lambda: (A, Wake.CHANGE) in handler.passes)


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_and_never_exceed_a_minute(failures: int, jitter: float) -> None:
    pause = backoff(failures, lambda: jitter)
    assert 0.7 <= pause <= 60.0
    assert backoff(failures + 1, lambda: 0.0) >= backoff(failures, lambda: 0.0)
