"""Passes over an object with Kafka users: in order, quiet, lost logins, faults, the end."""

from collections.abc import Mapping
from typing import Any

import pytest

from eventpipeline_operator.api.observed import Acl, ObservedTopic
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import KafkaAccess, Key
from eventpipeline_operator.desired.kafka_users import PASSWORD, USERNAME
from eventpipeline_operator.desired.records import SecretRecord, WorkloadRecord
from eventpipeline_operator.errors import ReconcileError, Retryable, Stalled
from eventpipeline_operator.policies.grants import Grants
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.queue import Outcome, Wake
from unit.operator.bodies import Json, build_body, build_spec
from unit.operator.fakes import World

FINALIZER = "eventpipeline.dev/topics"
RELAY, CONSUMER = "team.shop.order.relay", "team.shop.order.consumer"
AWAY = Retryable(Reason.KAFKA_UNAVAILABLE, "Kafka at kafka:9092 does not answer")
DENIED = Stalled(Reason.KAFKA_DENIED, "Kafka at kafka:9092 refuses")


class Scene:
    """A world with one object that asks for Kafka users, and a clock."""

    def __init__(self) -> None:
        self.world = World()
        self.time = 0.0
        self.spec = build_spec()
        self.spec["kafka"]["users"] = {}
        self.metadata: dict[str, Any] = {"finalizers": [FINALIZER]}
        self.start()

    def start(self, grants: Grants | None = None) -> None:
        """A new operator."""
        settings = Settings(signing_key=b"key", trust_seconds=60, grants=grants or Grants())
        self.reconciler = Reconciler(
            self.world.ports, settings, lambda: self.time, lambda: "2026-01-01T00:00:00Z"
        )

    async def run(self, wake: Wake = Wake.CHANGE) -> Outcome:
        statuses = self.world.status.statuses
        body: Json = {
            **build_body(self.spec, **self.metadata), "status": statuses[-1] if statuses else {}
        }  # fmt: skip
        return await self.reconciler.reconcile(body, wake)

    async def settle(self) -> Outcome:
        """Passes until migrations and pruning have let everything through."""
        outcomes = [await self.run() for _ in range(4)]
        return outcomes[-1]

    def login(self, user: str) -> tuple[str, SecretRecord]:
        """The newest delivered login of a user."""
        found = [
            (name, held)
            for name, held in self.world.runtime.applied.items()
            if isinstance(held, SecretRecord) and held.env.get(USERNAME) == user
        ]
        return found[-1]

    def workload(self, name: str) -> WorkloadRecord:
        held = self.world.runtime.applied[name]
        assert isinstance(held, WorkloadRecord)
        return held

    @property
    def users(self) -> list[str]:
        items = self.world.status.statuses[-1].get("users", {}).get("items", ())
        return [item["userName"] for item in items]

    def reason(self, kind: str = "UsersReady") -> str:
        found: str = self.world.status.condition(kind)["reason"]
        return found


@pytest.fixture
async def scene() -> Scene:
    found = Scene()
    assert await found.settle() is Outcome.DONE
    return found


async def test_users_come_to_be_and_their_workloads_are_told(scene: Scene) -> None:
    users = scene.world.users
    assert set(users.passwords) == {RELAY, CONSUMER}
    assert users.may(RELAY, "write", "team.shop.orders")
    assert not users.may(CONSUMER, "write", "team.shop.stock-events")
    _, login = scene.login(RELAY)
    assert login.env[PASSWORD] == users.passwords[RELAY]
    assert login.reference in scene.workload("order-relay").secrets
    assert scene.reason() == Reason.USERS_IN_SYNC
    assert scene.users == [RELAY, CONSUMER]


async def test_no_pod_is_told_a_login_before_kafka_knows_it() -> None:
    scene = Scene()
    scene.world.users.failure = AWAY
    assert await scene.settle() is Outcome.RETRY
    assert scene.world.runtime.names(WorkloadRecord) == set()
    assert scene.reason() == Reason.KAFKA_UNAVAILABLE
    assert scene.reason("WorkloadsReady") == Reason.WAITING_FOR_USERS
    assert scene.reason("SecretsReady") == Reason.SECRETS_IN_SYNC


async def test_an_unchanged_object_causes_no_write_also_after_a_restart(scene: Scene) -> None:
    before = list(scene.world.users.writes), list(scene.world.runtime.log)
    statuses = len(scene.world.status.statuses)
    scene.start()
    for wake in Wake:
        await scene.run(wake)
    assert (scene.world.users.writes, scene.world.runtime.log) == before
    assert len(scene.world.status.statuses) == statuses


async def test_a_lost_login_is_made_anew_and_its_pods_roll(scene: Scene) -> None:
    name, before = scene.login(RELAY)
    _, other = scene.login(CONSUMER)
    del scene.world.runtime.applied[name]
    await scene.run(Wake.CHILD)
    _, after = scene.login(RELAY)
    assert after.env[PASSWORD] == scene.world.users.passwords[RELAY] != before.env[PASSWORD]
    assert scene.workload("order-relay").secrets[-1] == after.reference
    assert scene.login(CONSUMER)[1] == other


async def test_a_user_that_kafka_lost_has_its_password_again(scene: Scene) -> None:
    log, password = list(scene.world.runtime.log), scene.world.users.passwords.pop(RELAY)
    await scene.run()
    assert scene.world.users.passwords[RELAY] == password
    assert scene.world.runtime.log == log


async def test_what_the_graph_says_no_more_is_forbidden(scene: Scene) -> None:
    scene.spec["services"][0]["workers"][0]["produces"] = ["stock-events"]
    await scene.settle()
    assert scene.world.users.may(RELAY, "write", "team.shop.stock-events")
    assert not scene.world.users.may(RELAY, "write", "team.shop.orders")


async def test_what_somebody_else_allowed_a_user_is_taken_back(scene: Scene) -> None:
    scene.world.users.acls.add(Acl(RELAY, "topic", "payroll", "read"))
    await scene.run()
    assert not scene.world.users.may(RELAY, "read", "payroll")


async def test_users_of_others_are_left_alone(scene: Scene) -> None:
    foreign = {"admin": "a", "team.shop.dashboard": "b", "team.shopping.order.relay": "c"}
    rights = {Acl(user, "topic", "team.shop.orders", "read") for user in foreign}
    scene.world.users.passwords |= foreign
    scene.world.users.acls |= rights
    del scene.spec["services"][0]["workers"][1]
    await scene.settle()
    assert scene.world.users.passwords.items() >= foreign.items()
    assert scene.world.users.acls >= rights


async def test_the_user_of_a_worker_that_goes_stays_until_no_pod_has_its_login(
    scene: Scene,
) -> None:
    name, _ = scene.login(CONSUMER)
    scene.world.runtime.in_use.add(name)
    del scene.spec["services"][0]["workers"][1]
    assert await scene.settle() is Outcome.RETRY
    assert scene.world.users.may(CONSUMER, "read", "team.shop.stock-events")
    assert scene.reason() == Reason.USERS_IN_SYNC
    scene.world.runtime.in_use.clear()
    assert await scene.settle() is Outcome.DONE
    assert set(scene.world.users.passwords) == {RELAY}
    assert {acl.user for acl in scene.world.users.acls} == {RELAY}
    assert scene.users == [RELAY]


async def test_a_share_that_is_withdrawn_is_withdrawn_in_kafka_at_once() -> None:
    scene = Scene()
    scene.spec["topics"][1] = {"name": "stock-events", "external": {"topicName": "market.stock"}}
    scene.world.kafka.topics["market.stock"] = ObservedTopic("market.stock", "id", 1, 1)
    scene.start(Grants(external={"team": ("market.",)}))
    await scene.settle()
    assert scene.world.users.may(CONSUMER, "read", "market.stock")
    scene.start()
    await scene.settle()
    assert scene.reason("TopicsReady") == Reason.EXTERNAL_TOPIC_DENIED
    assert not scene.world.users.may(CONSUMER, "read", "market.stock")


async def test_switched_off_users_go_when_their_pods_have_rolled(scene: Scene) -> None:
    scene.spec["kafka"]["users"] = {"enabled": False}
    assert await scene.settle() is Outcome.DONE
    assert scene.workload("order-relay").kafka_client is None
    assert (scene.world.users.passwords, scene.world.users.acls) == ({}, set())
    assert "users" not in scene.world.status.statuses[-1]
    assert scene.world.status.condition("UsersReady") == {}
    await scene.run()
    assert scene.world.finalizers.written[-1] == ("uid-1", False)


async def test_switched_off_while_kafka_is_away_users_are_not_forgotten(scene: Scene) -> None:
    scene.spec["kafka"]["users"] = {"enabled": False}
    scene.world.kafka.failure = AWAY
    await scene.run()
    assert scene.users == [RELAY, CONSUMER]
    scene.world.kafka.failure = None
    await scene.settle()
    assert scene.world.users.passwords == {}


async def test_while_kafka_is_away_workloads_go_on(scene: Scene) -> None:
    scene.world.kafka.failure = AWAY
    calls = len(scene.world.users.calls)
    assert await scene.run() is Outcome.RETRY
    assert scene.reason() == Reason.KAFKA_UNAVAILABLE
    assert scene.world.runtime.names(WorkloadRecord) >= {"order-relay", "order-consumer"}
    assert len(scene.world.users.calls) == calls


async def test_where_nobody_logs_in_the_rest_goes_on_and_a_condition_tells() -> None:
    scene = Scene()
    scene.world.users.login = False
    await scene.settle()
    assert scene.reason() == Reason.USERS_NOT_SUPPORTED
    assert scene.reason("Stalled") == Reason.USERS_NOT_SUPPORTED
    assert scene.reason("WorkloadsReady") == Reason.WORKLOADS_AVAILABLE
    assert scene.workload("order-relay").kafka_client is None


async def test_without_an_authorizer_users_log_in_and_a_condition_tells() -> None:
    scene = Scene()
    scene.world.users.authorizer = False
    await scene.settle()
    assert scene.reason() == Reason.AUTHORIZER_MISSING
    assert set(scene.world.users.passwords) == {RELAY, CONSUMER}
    assert scene.reason("WorkloadsReady") == Reason.WORKLOADS_AVAILABLE
    assert "allow" not in scene.world.users.calls


async def test_a_group_of_others_is_not_joined_and_a_condition_tells() -> None:
    scene = Scene()
    scene.spec["services"][0]["workers"][1]["consumerGroup"] = "finance.ledger"
    await scene.settle()
    assert scene.reason() == Reason.GROUP_NAME_DENIED
    assert not scene.world.users.may(CONSUMER, "read", "finance.ledger", "group")


async def test_no_password_is_in_status_events_or_journal(scene: Scene) -> None:
    await scene.reconciler.journal.flush()
    told = [scene.world.status.statuses, scene.world.status.events, scene.world.archive.texts]
    for password in scene.world.users.passwords.values():
        assert password not in str(told)


async def test_a_password_that_a_refusal_repeats_is_not_in_the_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, admitted = Scene(), list[str]()

    async def refuse(_: KafkaAccess, passwords: Mapping[str, str]) -> None:
        admitted.extend(passwords.values())
        raise Stalled(Reason.USER_REFUSED, f"too weak: {', '.join(passwords.values())}")

    monkeypatch.setattr(scene.world.users, "admit", refuse)
    await scene.run()
    await scene.reconciler.journal.flush()
    journal = str(scene.world.archive.texts)
    assert "too weak" in journal
    assert not [password for password in admitted if password in journal]


# The end of the object, under Retain


def depart(scene: Scene, **metadata: Any) -> None:
    scene.metadata |= {"deletionTimestamp": "2026-01-01T00:00:00Z", **metadata}


async def gone(_: Key, __: str) -> bool:
    return False


def released(scene: Scene) -> bool:
    return scene.world.finalizers.written[-1:] == [("uid-1", False)]


async def test_an_object_with_users_is_held_until_they_are_gone() -> None:
    scene = Scene()
    scene.metadata = {}
    await scene.run()
    assert scene.world.finalizers.written == [("uid-1", True)]


async def test_users_go_with_their_object_once_its_workloads_have_stopped(scene: Scene) -> None:
    depart(scene)
    scene.world.runtime.stopping = True
    assert await scene.run() is Outcome.RETRY
    assert RELAY in scene.world.users.passwords
    scene.world.runtime.stopping = False
    assert await scene.run() is Outcome.DONE
    assert (scene.world.users.passwords, scene.world.users.acls) == ({}, set())
    assert released(scene)
    assert len(scene.world.kafka.topics) == 3


@pytest.mark.parametrize(("failure", "passes"), [(AWAY, 2), (DENIED, 1)])
async def test_users_that_cannot_be_removed_are_told_and_the_object_is_released_in_time(
    scene: Scene, failure: ReconcileError, passes: int
) -> None:
    depart(scene)
    scene.world.users.failure = failure
    for _ in range(passes):
        assert not released(scene)
        await scene.run()
        scene.time += 50
    assert released(scene)
    (event,) = (e for e in scene.world.status.events if e.reason == Reason.USERS_LEFT_BEHIND)
    assert RELAY in event.message
    (legacy,) = scene.world.legacies.records
    assert legacy.users == (RELAY, CONSUMER)
    assert len(legacy.topics) == 3


async def test_users_of_an_object_that_was_not_held_are_recorded(scene: Scene) -> None:
    body = {**build_body(scene.spec), "status": scene.world.status.statuses[-1]}
    scene.reconciler.bury(body)
    scene.reconciler.bury({**build_body(uid="uid-2"), "status": {}})
    await scene.reconciler.sweep(gone)
    (legacy,) = scene.world.legacies.records
    assert legacy.users == (RELAY, CONSUMER)


async def test_users_stay_with_workloads_that_stay(scene: Scene) -> None:
    depart(scene, finalizers=[FINALIZER, "orphan"])
    await scene.run()
    assert released(scene)
    assert RELAY in scene.world.users.passwords
