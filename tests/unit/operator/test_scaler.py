"""The scaled workers of pipelines: who is asked, who is woken, what a pass applies."""

from typing import Any

import pytest

from eventpipeline_operator.api.offsets import GroupOffsets, PartitionOffsets
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.desired.records import WorkloadRecord
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.queue import Wake
from unit.operator.bodies import build_body, build_spec
from unit.operator.fakes import World

GROUP = "team.shop.order.consumer"


def build_scaled(**scale: int) -> dict[str, Any]:
    spec = build_spec()
    spec["services"][0]["workers"][1]["scale"] = {"min": 1, "max": 6, "drainSeconds": 30, **scale}
    return build_body(spec)


class Operator:
    """A reconciler whose lag is looked at by hand, every ten seconds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = 0.0
        self.woken: list[Key] = []
        settings = Settings(signing_key=b"key")
        self.reconciler = Reconciler(world.ports, settings, clock=lambda: self.now)

    async def settle(self, body: dict[str, Any]) -> None:
        await self.reconciler.reconcile(body, Wake.CHANGE)
        await self.reconciler.reconcile(body, Wake.CHILD)

    async def look(self, end: int, committed: int) -> None:
        self.now += 10
        offsets = {
            ("team.shop.stock-events", n): PartitionOffsets(0, end, committed) for n in range(3)
        }
        self.world.lags.groups[GROUP] = GroupOffsets(offsets)
        await self.reconciler.scaler.look(self.woken.append)

    async def overload(self) -> None:
        """Three looks at a group that does ten records a second and has thousands to do."""
        for look in range(3):
            await self.look(9000, 30 * look)

    def replicas(self) -> int | None:
        record = self.world.runtime.applied["order-consumer"]
        assert isinstance(record, WorkloadRecord)
        return record.replicas


@pytest.fixture
def operator() -> Operator:
    return Operator(World())


async def test_lag_wakes_the_object_and_the_pass_applies_the_replicas(operator: Operator) -> None:
    await operator.settle(build_scaled())
    assert operator.replicas() == 1
    await operator.overload()
    assert operator.woken == [("team", "shop")]
    await operator.reconciler.reconcile(build_scaled(), Wake.CHILD)
    assert operator.replicas() == 3


async def test_a_pass_never_asks_for_lag(operator: Operator) -> None:
    await operator.settle(build_scaled())
    assert operator.world.lags.asked == []


async def test_nobody_is_woken_and_nothing_written_while_the_number_stays(
    operator: Operator,
) -> None:
    await operator.settle(build_scaled())
    before = len(operator.world.runtime.log)
    for _ in range(5):
        await operator.look(100, 100)
        await operator.reconciler.reconcile(build_scaled(), Wake.RESYNC)
    assert operator.woken == []
    assert len(operator.world.runtime.log) == before


async def test_offsets_that_cannot_be_read_leave_the_replicas(operator: Operator) -> None:
    await operator.settle(build_scaled())
    await operator.overload()
    operator.world.lags.groups.clear()
    for _ in range(50):
        operator.now += 10
        await operator.reconciler.scaler.look(operator.woken.append)
    await operator.reconciler.reconcile(build_scaled(), Wake.RESYNC)
    assert operator.replicas() == 3


async def test_a_restarted_operator_goes_on_with_what_runs(operator: Operator) -> None:
    await operator.settle(build_scaled())
    await operator.overload()
    await operator.reconciler.reconcile(build_scaled(), Wake.CHILD)
    before = len(operator.world.runtime.log)
    again = Operator(operator.world)
    body = {**build_scaled(), "status": operator.world.status.statuses[-1]}
    await again.reconciler.reconcile(body, Wake.CHANGE)
    assert again.replicas() == 3
    assert len(operator.world.runtime.log) == before


async def test_new_bounds_hold_at_once(operator: Operator) -> None:
    await operator.settle(build_scaled())
    await operator.overload()
    narrow = build_scaled(max=2)
    narrow["metadata"]["generation"] = 2
    await operator.settle(narrow)
    assert operator.replicas() == 2


async def test_workers_without_scale_and_objects_that_are_gone_are_not_looked_at(
    operator: Operator,
) -> None:
    await operator.settle(build_scaled())
    operator.reconciler.forget("uid-1")
    await operator.look(9000, 0)
    await operator.settle(build_body())
    await operator.look(9000, 0)
    assert operator.world.lags.asked == []
