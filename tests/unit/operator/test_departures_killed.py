"""The operator killed at every boundary of a call while an object goes, and started again."""

import itertools

from eventpipeline_operator.api.observed import TopicUsage
from eventpipeline_operator.policies.deletion import Obstacle
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.queue import Wake
from fakes.mortal import Life, mortal_ports
from unit.operator.bodies import Json, build_body, build_spec
from unit.operator.fakes import World

FINALIZER = "eventpipeline.dev/topics"
KEPT = "team.shop.orders"


class Installation:
    """A world with an object that is ready and goes; one of its topics exceeds the budget."""

    def __init__(self) -> None:
        self.world = World()
        self._deleted = False

    async def prepare(self) -> None:
        """The object is ready, then somebody deletes it."""
        await self.run(Life())
        self.world.removal.usages[KEPT] = TopicUsage("", records=101)
        self._deleted = True

    async def run(self, life: Life) -> bool:
        """One operator's life."""
        settings = Settings(signing_key=b"key", max_records=100)
        ports = mortal_ports(self.world.ports, life)
        reconciler = Reconciler(ports, settings, lambda: 0.0, lambda: "2026-01-01T00:00:00Z")

        async def work() -> None:
            for wake in (Wake.CHANGE, Wake.CHILD, Wake.RETRY):
                if self._there():
                    await reconciler.reconcile(self._body(), wake)

        return await life.live(work)

    def _there(self) -> bool:
        return self.world.finalizers.written[-1:] != [("uid-1", False)]

    def _body(self) -> Json:
        metadata = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if self._deleted else {}
        spec = {**build_spec(), "deletionPolicy": "Delete"}
        statuses = self.world.status.statuses
        body = build_body(spec, finalizers=[FINALIZER], **metadata)
        return {**body, "status": statuses[-1] if statuses else {}}

    def outcome(self) -> object:
        told = {
            (each.topic, each.obstacle) for r in self.world.legacies.records for each in r.topics
        }
        return set(self.world.kafka.topics), told, self._there(), sorted(self.world.removal.removed)


async def test_killed_at_any_boundary_the_end_is_the_same() -> None:
    undisturbed = Installation()
    await undisturbed.prepare()
    await undisturbed.run(Life())
    assert undisturbed.outcome() == (
        {KEPT},
        {(KEPT, Obstacle.TOO_MANY_RECORDS)},
        False,
        ["team.shop.stock-events", "team.shop.stock-events.order.dlq"],
    )
    for moment in itertools.count(1):
        installation, life = Installation(), Life(dies_at=moment)
        await installation.prepare()
        await installation.run(life)
        if not life.ended.is_set():
            break
        await installation.run(Life())
        where = f"killed at boundary {moment}: {life.boundaries[-1]}"
        assert installation.outcome() == undisturbed.outcome(), where
    assert moment > 10
