"""The end of an object: workloads stop, topics go or stay, and the object is released in time."""

from typing import Any

import pytest

from eventpipeline_operator.api.observed import TopicUsage
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.desired.records import WorkloadRecord
from eventpipeline_operator.errors import ReconcileError, Retryable, Stalled
from eventpipeline_operator.policies.deletion import Obstacle
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.queue import Outcome, Wake
from unit.operator.bodies import Json, build_body, build_spec
from unit.operator.fakes import World

FINALIZER = "eventpipeline.dev/topics"
TOPICS = {
    "team.shop.orders", "team.shop.stock-events", "team.shop.stock-events.order.dlq",
}  # fmt: skip
AWAY = Retryable(Reason.KAFKA_UNAVAILABLE, "Kafka at kafka:9092 does not answer")
DENIED = Stalled(Reason.KAFKA_DENIED, "Kafka at kafka:9092 refuses")


class Scene:
    """A world with one object in it that is ready, and a clock."""

    def __init__(self, policy: str = "Delete") -> None:
        self.world = World()
        self.time = 0.0
        self.spec = {**build_spec(), "deletionPolicy": policy}
        self.metadata: dict[str, Any] = {}
        if policy == "Delete":
            self.metadata["finalizers"] = [FINALIZER]
        self.start()

    def start(self) -> None:
        """A new operator."""
        settings = Settings(signing_key=b"key", max_records=100)
        self.reconciler = Reconciler(
            self.world.ports, settings, lambda: self.time, lambda: "2026-01-01T00:00:00Z"
        )

    def body(self) -> Json:
        statuses = self.world.status.statuses
        return {
            **build_body(self.spec, **self.metadata), "status": statuses[-1] if statuses else {}
        }  # fmt: skip

    async def settle(self) -> None:
        await self.reconciler.reconcile(self.body(), Wake.CHANGE)
        await self.reconciler.reconcile(self.body(), Wake.CHILD)
        assert set(self.world.kafka.topics) == TOPICS

    def delete(self, **metadata: Any) -> None:
        self.metadata |= {"deletionTimestamp": "2026-01-01T00:00:00Z", **metadata}

    async def run(self) -> Outcome:
        return await self.reconciler.reconcile(self.body(), Wake.CHANGE)

    @property
    def released(self) -> bool:
        return self.world.finalizers.written[-1:] == [("uid-1", False)]

    def left(self) -> dict[str, Obstacle]:
        """What the record in the operator's namespace says."""
        (legacy,) = self.world.legacies.records
        assert (legacy.key, legacy.servers) == (Key("team", "shop"), "kafka:9092")
        return {each.topic: each.obstacle for each in legacy.topics}


@pytest.fixture
async def scene() -> Scene:
    found = Scene()
    await found.settle()
    return found


@pytest.mark.parametrize(
    ("policy", "held", "written"),
    [
        ("Delete", [], [True]),
        ("Delete", [FINALIZER], []),
        ("Retain", [], []),
        ("Retain", [FINALIZER], [False]),
    ],
)
async def test_the_finalizer_is_there_exactly_where_delete_is_set(
    policy: str, held: list[str], written: list[bool]
) -> None:
    scene = Scene(policy)
    scene.metadata["finalizers"] = held
    await scene.run()
    assert [present for _, present in scene.world.finalizers.written] == written


@pytest.mark.parametrize("spoiled", [{"suspend": True}, {"topics": "none"}])
async def test_a_suspended_or_broken_object_is_guarded_as_well(spoiled: Json) -> None:
    scene = Scene("Retain")
    scene.spec |= spoiled
    scene.metadata["finalizers"] = [FINALIZER]
    await scene.run()
    assert scene.released


async def test_no_topic_is_made_before_the_finalizer_holds() -> None:
    scene = Scene()
    scene.metadata["finalizers"] = []
    scene.world.finalizers.failure = Retryable(Reason.KUBERNETES_UNAVAILABLE, "busy")
    assert await scene.run() is Outcome.RETRY
    assert scene.world.kafka.topics == {}


async def test_all_topics_go_with_their_object_dead_letters_too(scene: Scene) -> None:
    scene.delete()
    assert await scene.run() is Outcome.DONE
    assert scene.world.kafka.topics == {}
    assert scene.released
    assert scene.world.legacies.records == []
    assert scene.world.metrics.removals == 3


async def test_workloads_stop_before_topics_go(scene: Scene) -> None:
    scene.world.runtime.stopping = True
    scene.delete()
    assert await scene.run() is Outcome.RETRY
    assert scene.world.runtime.names(WorkloadRecord) == set()
    assert scene.world.removal.inspections == 0
    assert scene.reconciler.due_in("uid-1") == 1.0
    scene.world.runtime.stopping = False
    assert await scene.run() is Outcome.DONE
    assert scene.world.kafka.topics == {}
    assert scene.reconciler.due_in("uid-1") is None


async def test_what_exceeds_the_budget_stays_and_is_named_everywhere(scene: Scene) -> None:
    scene.world.removal.usages["team.shop.orders"] = TopicUsage("", records=101)
    scene.delete()
    assert await scene.run() is Outcome.DONE
    assert set(scene.world.kafka.topics) == {"team.shop.orders"}
    assert scene.released
    assert scene.left() == {"team.shop.orders": Obstacle.TOO_MANY_RECORDS}
    assert scene.world.metrics.left == {Obstacle.TOO_MANY_RECORDS: 1}
    event = scene.world.status.events[-1]
    assert event.reason == Reason.TOPICS_LEFT_BEHIND
    assert "team.shop.orders (101 records are more than 100)" in event.message


async def test_an_approved_object_takes_everything_with_it(scene: Scene) -> None:
    scene.world.removal.usages["team.shop.orders"] = TopicUsage("", records=101)
    scene.delete(annotations={"eventpipeline.dev/approve-topic-deletion": "*"})
    await scene.run()
    assert scene.world.kafka.topics == {}


async def test_a_topic_made_anew_by_others_stays(scene: Scene) -> None:
    body = scene.body()
    body["status"]["topics"]["items"][0]["id"] = "another"
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    scene.start()
    await scene.reconciler.reconcile(body, Wake.CHANGE)
    assert set(scene.world.kafka.topics) == {"team.shop.orders"}
    assert scene.left() == {"team.shop.orders": Obstacle.RECREATED}


async def test_a_refused_removal_leaves_the_topic_with_the_brokers_words(scene: Scene) -> None:
    scene.world.removal.refusals["team.shop.orders"] = "topic deletion is disabled"
    scene.delete()
    assert await scene.run() is Outcome.DONE
    assert scene.left() == {"team.shop.orders": Obstacle.REFUSED}


@pytest.mark.parametrize(
    ("failure", "obstacle"),
    [(AWAY, Obstacle.KAFKA_UNAVAILABLE), (DENIED, Obstacle.KAFKA_DENIED)],
)
async def test_an_object_is_released_within_a_minute_whatever_kafka_does(
    scene: Scene, failure: ReconcileError, obstacle: Obstacle
) -> None:
    scene.world.removal.failure = failure
    scene.delete()
    while await scene.run() is Outcome.RETRY:
        scene.time += scene.reconciler.due_in("uid-1") or 0.0
    assert scene.time < 50
    assert scene.released
    assert scene.left() == dict.fromkeys(TOPICS, obstacle)


async def test_a_kafka_that_is_away_is_asked_by_one_object_for_all(scene: Scene) -> None:
    scene.world.removal.failure = AWAY
    scene.delete()
    assert await scene.run() is Outcome.RETRY
    for number in range(10):
        scene.metadata |= {"name": f"other{number}", "uid": f"uid-{number + 2}"}
        assert await scene.run() is Outcome.RETRY
    assert scene.world.removal.inspections == 1
    scene.time += scene.reconciler.due_in("uid-1") or 0.0
    assert await scene.run() is Outcome.RETRY
    assert scene.world.removal.inspections == 2


async def test_a_busy_api_server_is_not_taken_for_an_absent_kafka(scene: Scene) -> None:
    scene.world.runtime.prune_failure = Retryable(Reason.KUBERNETES_UNAVAILABLE, "busy")
    scene.delete()
    while await scene.run() is Outcome.RETRY:
        scene.time += 1
    assert scene.left() == dict.fromkeys(TOPICS, Obstacle.WORKLOADS_RUNNING)


async def test_an_object_whose_pods_do_not_end_is_released_and_keeps_its_topics(
    scene: Scene,
) -> None:
    scene.world.runtime.stopping = True
    scene.delete()
    while await scene.run() is Outcome.RETRY:
        scene.time += 1
    assert scene.released
    assert scene.left() == dict.fromkeys(TOPICS, Obstacle.WORKLOADS_RUNNING)
    assert set(scene.world.kafka.topics) == TOPICS


async def test_kafka_that_comes_back_in_time_is_enough(scene: Scene) -> None:
    scene.world.removal.failure = AWAY
    scene.delete()
    assert await scene.run() is Outcome.RETRY
    scene.time, scene.world.removal.failure = 30.0, None
    assert await scene.run() is Outcome.DONE
    assert scene.world.kafka.topics == {}


async def test_members_of_its_own_are_waited_for_while_the_rest_goes(scene: Scene) -> None:
    live = frozenset({"team.shop.order.consumer"})
    scene.world.removal.usages["team.shop.stock-events"] = TopicUsage("", live=live)
    scene.delete()
    assert await scene.run() is Outcome.RETRY
    assert set(scene.world.kafka.topics) == {"team.shop.stock-events"}
    scene.world.removal.usages.clear()
    assert await scene.run() is Outcome.DONE
    assert scene.world.kafka.topics == {}
    assert scene.world.legacies.records == []


async def test_a_change_of_mind_while_waiting_keeps_the_rest(scene: Scene) -> None:
    scene.world.removal.failure = AWAY
    scene.delete()
    assert await scene.run() is Outcome.RETRY
    scene.spec["deletionPolicy"] = "Retain"
    assert await scene.run() is Outcome.DONE
    assert scene.left() == dict.fromkeys(TOPICS, Obstacle.RETAINED)


async def test_orphaned_children_keep_running_and_so_do_their_topics(scene: Scene) -> None:
    running = scene.world.runtime.names(WorkloadRecord)
    scene.delete(finalizers=[FINALIZER, "orphan"])
    assert await scene.run() is Outcome.DONE
    assert scene.world.runtime.names(WorkloadRecord) == running
    assert scene.left() == dict.fromkeys(TOPICS, Obstacle.ORPHANED)


async def test_a_successor_that_declares_the_topic_keeps_it(scene: Scene) -> None:
    spec = {
        "kafka": {"bootstrapServers": "kafka:9092"},
        "topics": [{"name": "a", "topicName": "team.shop.orders"}],
    }
    heir = build_body(spec, name="heir", uid="uid-2", creationTimestamp="2026-02-01T00:00:00Z")
    scene.reconciler.claim(heir)
    scene.delete()
    await scene.run()
    assert scene.left() == {"team.shop.orders": Obstacle.CLAIMED}


async def test_a_release_that_fails_is_tried_again_and_tells_nothing_twice(scene: Scene) -> None:
    scene.world.removal.usages["team.shop.orders"] = TopicUsage("", records=101)
    scene.world.finalizers.failure = Retryable(Reason.KUBERNETES_UNAVAILABLE, "busy")
    scene.delete()
    events = len(scene.world.status.events)
    assert await scene.run() is Outcome.RETRY
    scene.world.finalizers.failure = None
    assert await scene.run() is Outcome.DONE
    assert scene.released
    assert len(scene.world.status.events) == events + 1
    assert scene.world.metrics.left == {Obstacle.TOO_MANY_RECORDS: 1}


async def test_a_record_that_cannot_be_written_yet_comes_before_the_release(scene: Scene) -> None:
    scene.world.removal.usages["team.shop.orders"] = TopicUsage("", records=101)
    scene.world.legacies.failure = Retryable(Reason.KUBERNETES_UNAVAILABLE, "busy")
    scene.delete()
    assert await scene.run() is Outcome.RETRY
    assert not scene.released
    scene.world.legacies.failure = None
    assert await scene.run() is Outcome.DONE
    assert scene.released
    assert scene.left() == {"team.shop.orders": Obstacle.TOO_MANY_RECORDS}


async def test_a_record_that_may_not_be_written_does_not_hold_the_object(scene: Scene) -> None:
    scene.world.removal.usages["team.shop.orders"] = TopicUsage("", records=101)
    scene.world.legacies.failure = Stalled(Reason.OBJECT_REFUSED, "ConfigMap: forbidden")
    scene.delete()
    assert await scene.run() is Outcome.DONE
    assert scene.released


async def test_a_released_object_that_others_hold_is_left_alone(scene: Scene) -> None:
    scene.delete()
    await scene.run()
    assert await scene.run() is Outcome.DONE
    assert scene.world.finalizers.written == [("uid-1", False)]


async def test_under_retain_nothing_waits_and_what_stays_is_told_afterwards() -> None:
    scene = Scene("Retain")
    await scene.settle()
    scene.delete()
    assert await scene.run() is Outcome.DONE
    assert scene.world.finalizers.written == []
    scene.reconciler.bury(scene.body())
    scene.world.legacies.failure = Retryable(Reason.KUBERNETES_UNAVAILABLE, "busy")
    with pytest.raises(Retryable):
        await scene.reconciler.sweep(nobody)
    scene.world.legacies.failure = None
    await scene.reconciler.sweep(nobody)
    await scene.reconciler.sweep(nobody)
    assert scene.left() == dict.fromkeys(TOPICS, Obstacle.RETAINED)
    assert set(scene.world.kafka.topics) == TOPICS


async def test_the_end_of_an_object_that_was_seen_off_tells_nothing_more(scene: Scene) -> None:
    scene.delete()
    await scene.run()
    scene.reconciler.bury(scene.body())
    await scene.reconciler.sweep(nobody)
    assert scene.world.legacies.records == []


async def nobody(key: Key, uid: str) -> bool:
    raise AssertionError((key, uid))
