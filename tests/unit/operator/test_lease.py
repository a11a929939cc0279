"""When a leader goes on and when it stops, over a Lease in memory and a clock of the test's own."""

import copy
from types import SimpleNamespace
from typing import Any, cast

import pytest

from eventpipeline_operator.adapters.kube import lease as module
from eventpipeline_operator.adapters.kube.client import ApiError, KubeClient
from eventpipeline_operator.adapters.kube.lease import LEASE_SECONDS, Lease, LeaseLostError

Json = dict[str, Any]


class Server:
    """The API server as far as one Lease goes."""

    def __init__(self) -> None:
        self.live: Json | None = None
        self.away = False

    async def get(self, ref: object) -> Json | None:
        assert ref
        if self.away:
            raise ApiError(503, "Unreachable", "away")
        return copy.deepcopy(self.live)

    async def create(self, kind: object, namespace: str, body: Json) -> Json:
        assert kind
        assert namespace
        self.live = body
        return body

    async def replace(self, ref: object, body: Json) -> Json:
        assert ref
        self.live = body
        return body


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=found))
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.0)
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    return found


@pytest.fixture
def server() -> Server:
    return Server()


def build_lease(server: Server, name: str) -> Lease:
    return Lease(cast("KubeClient", server), "system", name)


async def holds(lease: Lease) -> bool:
    return await lease._attempt(lease._free)


@pytest.mark.usefixtures("clock")
async def test_nobody_writes_before_the_lease_is_theirs(server: Server) -> None:
    lease = build_lease(server, "first")
    with pytest.raises(LeaseLostError):
        lease.check()
    await lease.acquire()
    lease.check()


async def test_the_right_to_write_ends_before_another_can_have_it(
    server: Server, clock: Clock
) -> None:
    first, second = build_lease(server, "first"), build_lease(server, "second")
    await first.acquire()
    assert not await holds(second)
    clock.now += LEASE_SECONDS - 1
    with pytest.raises(LeaseLostError):
        first.check()
    assert not await holds(second)
    clock.now += 1.1
    assert await holds(second)


@pytest.mark.parametrize("given_back", [False, True])
async def test_who_was_stopped_while_another_led_does_not_go_on(
    server: Server, clock: Clock, *, given_back: bool
) -> None:
    first, second = build_lease(server, "first"), build_lease(server, "second")
    await first.acquire()
    assert not await holds(second)
    clock.now += LEASE_SECONDS + 1
    await second.acquire()
    if given_back:
        await second.release()
    with pytest.raises(LeaseLostError):
        await first.keep()


async def test_who_was_stopped_and_missed_by_nobody_goes_on(server: Server, clock: Clock) -> None:
    lease = build_lease(server, "first")
    await lease.acquire()
    clock.now += 10 * LEASE_SECONDS
    assert await lease._attempt(lease._ours)
    lease.check()


async def test_a_lease_that_cannot_be_renewed_in_time_is_lost(server: Server, clock: Clock) -> None:
    lease = build_lease(server, "first")
    await lease.acquire()
    server.away = True
    clock.now += LEASE_SECONDS + 1
    with pytest.raises(LeaseLostError):
        await lease.keep()
