"""What the kubelet and Prometheus are told, from the queue to the answer."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from eventpipeline_operator.adapters import metrics
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.handlers.probes import Health, build_app
from eventpipeline_operator.reconcile.queue import Outcome, Queue, Wake


class Stuck:
    """A queue whose only pass does not end until it is told to."""

    def __init__(self) -> None:
        self.end = asyncio.Event()
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.waits: list[float] = []
        self.queue = Queue(self._hang, waited=self.waits.append)

    async def _hang(self, *_: object) -> Outcome:
        self.begun.set()
        await self.end.wait()
        # The queue takes the outcome in the same step of the loop, before anybody else's turn.
        asyncio.get_running_loop().call_soon(self.ended.set)
        return Outcome.DONE


@pytest.fixture
async def stuck() -> AsyncIterator[Stuck]:
    stuck = Stuck()
    running = asyncio.create_task(stuck.queue.run())
    stuck.queue.add(Key("team", "shop"), Wake.CHANGE)
    await stuck.begun.wait()
    yield stuck
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def ask(health: Health, path: str) -> tuple[int, str]:
    async with TestClient(TestServer(build_app(health))) as client:
        answer = await client.get(path)
        return answer.status, await answer.text()


async def test_an_object_that_waits_too_long_ends_the_operators_life(stuck: Stuck) -> None:
    assert (await ask(Health(stuck.queue.oldest, 300.0), "/livez"))[0] == 200
    assert (await ask(Health(stuck.queue.oldest, 0.0), "/livez"))[0] == 503
    stuck.end.set()
    await stuck.ended.wait()
    assert (await ask(Health(stuck.queue.oldest, 0.0), "/livez"))[0] == 200


async def test_how_long_an_object_waited_is_told_once_its_pass_begins(stuck: Stuck) -> None:
    (wait,) = stuck.waits
    assert 0 <= wait < 5


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_readiness_is_what_main_says(*, ready: bool, status: int) -> None:
    assert (await ask(Health(lambda: 0.0, 300.0, ready), "/readyz"))[0] == status


async def test_metrics_are_served_with_their_help() -> None:
    assert metrics.PASSES
    status, text = await ask(Health(lambda: 0.0, 300.0), "/metrics")
    assert status == 200
    for name in (
        "reconcile_duration_seconds", "reconcile_errors_total", "reconcile_problems_total",
        "queue_wait_seconds", "queue_length",
        "kafka_calls_total", "vault_calls_total", "kubernetes_writes_total",
        "oldest_unreconciled_seconds",
    ):  # fmt: skip
        assert f"# HELP eventpipeline_{name} " in text, name
