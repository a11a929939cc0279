"""One pass after another over fake ports: order, quiet, faults."""

import copy
from typing import Any

import pytest

from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.desired.records import (
    MigrationRecord,
    RouteRecord,
    SecretRecord,
    WorkloadRecord,
)
from eventpipeline_operator.errors import Retryable, Stalled
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.ports import KvValue
from eventpipeline_operator.reconcile.queue import Outcome, Wake
from unit.operator.bodies import build_body, build_spec
from unit.operator.fakes import World

Json = dict[str, Any]
AWAY = Retryable(Reason.KAFKA_UNAVAILABLE, "Kafka at kafka:9092 does not answer")


@pytest.fixture
def world() -> World:
    return World()


def build_reconciler(world: World) -> Reconciler:
    settings = Settings(signing_key=b"key", trust_seconds=60)
    return Reconciler(world.ports, settings, clock=lambda: 0.0, now=lambda: "2026-01-01T00:00:00Z")


@pytest.fixture
def reconciler(world: World) -> Reconciler:
    return build_reconciler(world)


async def settle(reconciler: Reconciler, body: Json, wake: Wake = Wake.CHANGE) -> Outcome:
    """Passes until migrations, which succeed at once here, have let everything through."""
    await reconciler.reconcile(body, wake)
    return await reconciler.reconcile(body, Wake.CHILD)


async def test_everything_declared_comes_to_be(world: World, reconciler: Reconciler) -> None:
    assert await settle(reconciler, build_body()) is Outcome.DONE
    assert set(world.kafka.topics) == {
        "team.shop.orders",
        "team.shop.stock-events",
        "team.shop.stock-events.order.dlq",
    }
    assert world.runtime.names(WorkloadRecord) == {
        "order", "order-relay", "order-consumer", "stock",
    }  # fmt: skip
    assert len(world.runtime.names(SecretRecord)) == 2
    assert world.runtime.names(RouteRecord) == {"route"}
    status = world.status.statuses[-1]
    assert status["topics"]["summary"] == "2/2"
    assert status["services"]["summary"] == "2/2"
    assert status["url"] == "http://shop.localhost"
    assert [c["type"] for c in status["conditions"]] == [
        "Ready", "TopicsReady", "SecretsReady", "WorkloadsReady",
    ]  # fmt: skip
    assert {c["status"] for c in status["conditions"]} == {"True"}


async def test_an_unchanged_object_causes_no_write_anywhere(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    before = (len(world.kafka.writes), len(world.runtime.log), len(world.status.statuses))
    for wake in Wake:
        await reconciler.reconcile(build_body(), wake)
    assert (len(world.kafka.writes), len(world.runtime.log), len(world.status.statuses)) == before


async def test_a_restarted_operator_writes_nothing(world: World, reconciler: Reconciler) -> None:
    await settle(reconciler, build_body())
    before = (len(world.kafka.writes), len(world.runtime.log), len(world.status.statuses))
    events = len(world.status.events)
    body = {**build_body(), "status": world.status.statuses[-1]}
    await build_reconciler(world).reconcile(body, Wake.CHANGE)
    assert (len(world.kafka.writes), len(world.runtime.log), len(world.status.statuses)) == before
    assert len(world.status.events) == events


async def test_a_new_generation_takes_at_most_two_status_writes(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    assert len(world.status.statuses) == 2


async def test_workloads_wait_for_their_migration(world: World, reconciler: Reconciler) -> None:
    world.runtime.migrated = False
    await settle(reconciler, build_body())
    assert world.runtime.names(WorkloadRecord) == {"stock"}
    assert len(world.runtime.names(MigrationRecord)) == 1
    assert world.status.condition("WorkloadsReady")["reason"] == Reason.MIGRATION_RUNNING
    assert world.status.condition("Reconciling")["status"] == "True"


async def test_a_running_service_stays_while_its_new_image_migrates(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    world.runtime.migrated = False
    spec = build_spec()
    spec["services"][0]["image"] = "order:2"
    await settle(reconciler, build_body(spec, generation=2))
    kept = world.runtime.applied["order"]
    assert isinstance(kept, WorkloadRecord)
    assert kept.image == "order:1"


async def test_secrets_and_workloads_wait_for_the_topics(
    world: World, reconciler: Reconciler
) -> None:
    world.kafka.failure = AWAY
    assert await reconciler.reconcile(build_body(), Wake.CHANGE) is Outcome.RETRY
    assert world.runtime.log == []
    assert world.vault.reads == 0
    assert world.status.condition("TopicsReady")["reason"] == Reason.KAFKA_UNAVAILABLE
    assert world.status.condition("SecretsReady")["reason"] == Reason.WAITING_FOR_TOPICS
    assert world.status.condition("WorkloadsReady")["reason"] == Reason.WAITING_FOR_TOPICS


async def test_objects_that_are_not_ready_are_counted_by_reason(
    world: World, reconciler: Reconciler
) -> None:
    world.kafka.failure = AWAY
    await reconciler.reconcile(build_body(), Wake.CHANGE)
    assert reconciler.unready() == {Reason.KAFKA_UNAVAILABLE: 1}
    world.kafka.failure = None
    await settle(reconciler, build_body(), Wake.RETRY)
    assert reconciler.unready() == {}


async def test_every_pass_counts_its_problems_by_reason_and_not_what_waits(
    world: World, reconciler: Reconciler
) -> None:
    await reconciler.reconcile(build_body(), Wake.CHANGE)
    assert world.metrics.failures == []  # its migration runs
    world.kafka.failure = AWAY
    for _ in range(2):
        await reconciler.reconcile(build_body(), Wake.RETRY)
    assert world.metrics.failures == [Reason.KAFKA_UNAVAILABLE] * 2


async def test_drift_is_repaired_while_kafka_is_away(world: World, reconciler: Reconciler) -> None:
    await settle(reconciler, build_body())
    world.kafka.failure = AWAY
    del world.runtime.applied["order-relay"]
    assert await reconciler.reconcile(build_body(), Wake.RESYNC) is Outcome.RETRY
    assert "order-relay" in world.runtime.applied
    assert world.status.condition("Ready")["status"] == "False"


async def test_a_new_generation_waits_until_kafka_is_back(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    world.kafka.failure = AWAY
    spec = build_spec()
    spec["services"][1]["image"] = "stock:2"
    await reconciler.reconcile(build_body(spec, generation=2), Wake.CHANGE)
    waiting = world.runtime.applied["stock"]
    assert isinstance(waiting, WorkloadRecord)
    assert waiting.image == "stock:1"
    world.kafka.failure = None
    await settle(reconciler, build_body(spec, generation=2), Wake.RETRY)
    done = world.runtime.applied["stock"]
    assert isinstance(done, WorkloadRecord)
    assert done.image == "stock:2"


async def test_the_last_good_secret_stays_while_vault_is_away(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    before = dict(world.runtime.applied)
    world.vault.failure = Retryable(Reason.VAULT_SEALED, "Vault is sealed")
    assert await reconciler.reconcile(build_body(), Wake.RESYNC) is Outcome.RETRY
    assert world.runtime.applied == before
    found = world.status.condition("SecretsReady")
    assert (found["status"], found["reason"]) == ("False", Reason.VAULT_SEALED)
    assert "stays in use" in found["message"]


async def test_a_changed_template_does_not_make_do_with_the_old_secret(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    world.vault.failure = Retryable(Reason.VAULT_SEALED, "Vault is sealed")
    spec = build_spec()
    spec["secrets"][0]["env"] = {"OTHER_URL": "{USER}"}
    await reconciler.reconcile(build_body(spec, generation=2), Wake.CHANGE)
    assert world.status.condition("WorkloadsReady")["reason"] == Reason.WAITING_FOR_SECRETS


async def test_a_changed_value_makes_a_new_secret_and_the_old_one_goes(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    before = world.runtime.names(SecretRecord)
    world.vault.secrets["shop"] = KvValue({"USER": "ada", "PASSWORD": "new"}, "2")
    await reconciler.reconcile(build_body(), Wake.RESYNC)
    after = world.runtime.names(SecretRecord)
    assert len(after) == 2
    assert len(after & before) == 1


async def test_a_new_version_with_the_same_values_keeps_its_name(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    before = world.runtime.names(SecretRecord)
    world.vault.secrets["shop"] = KvValue({"USER": "ada", "PASSWORD": "p@ss"}, "2")
    await reconciler.reconcile(build_body(), Wake.RESYNC)
    assert world.runtime.names(SecretRecord) == before


async def test_the_change_of_a_child_asks_neither_kafka_nor_vault(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    calls, reads = len(world.kafka.calls), world.vault.reads
    await reconciler.reconcile(build_body(), Wake.CHILD)
    assert (len(world.kafka.calls), world.vault.reads) == (calls, reads)


async def test_a_deleted_secret_comes_back(world: World, reconciler: Reconciler) -> None:
    await settle(reconciler, build_body())
    name = min(world.runtime.names(SecretRecord))
    del world.runtime.applied[name]
    await reconciler.reconcile(build_body(), Wake.CHILD)
    assert name in world.runtime.applied


async def test_one_service_that_is_refused_does_not_stop_the_others(
    world: World, reconciler: Reconciler
) -> None:
    world.runtime.failures["stock"] = Stalled(Reason.OBJECT_CONFLICT, "Deployment shop-stock")
    assert await settle(reconciler, build_body()) is Outcome.STALLED
    assert "order-relay" in world.runtime.applied
    assert world.status.condition("Stalled")["reason"] == Reason.OBJECT_CONFLICT


async def test_suspend_changes_nothing_and_says_so(world: World, reconciler: Reconciler) -> None:
    await settle(reconciler, build_body())
    log, calls = list(world.runtime.log), list(world.kafka.calls)
    spec = {**build_spec(), "suspend": True, "services": []}
    assert await reconciler.reconcile(build_body(spec, generation=2), Wake.CHANGE) is Outcome.DONE
    assert (world.runtime.log, world.kafka.calls) == (log, calls)
    assert world.status.condition("Ready")["reason"] == Reason.SUSPENDED
    assert world.status.condition("TopicsReady")["status"] == "True"
    assert world.status.statuses[-1]["observedGeneration"] == 2


async def test_a_spec_that_slipped_past_admission_is_stalled(
    world: World, reconciler: Reconciler
) -> None:
    spec = build_spec()
    spec["services"][0]["workers"][0]["produces"] = ["nowhere"]
    await reconciler.reconcile(build_body(spec), Wake.CHANGE)
    found = world.status.condition("Stalled")
    assert found["reason"] == Reason.INVALID_SPEC
    assert found["message"] == (
        "spec.services[order].workers[relay].produces: 'nowhere' is not in spec.topics: "
        "add it there or correct the name"
    )
    assert world.kafka.calls == []


async def test_a_spec_of_another_shape_is_stalled(world: World, reconciler: Reconciler) -> None:
    await reconciler.reconcile(build_body({"kafka": "kafka:9092"}), Wake.CHANGE)
    assert world.status.condition("Stalled")["reason"] == Reason.INVALID_SPEC


async def test_an_object_under_deletion_is_left_alone(world: World, reconciler: Reconciler) -> None:
    body = build_body(deletionTimestamp="2026-01-01T00:00:00Z")
    assert await reconciler.reconcile(body, Wake.CHANGE) is Outcome.DONE
    assert world.runtime.log == []


async def test_values_of_secrets_stay_out_of_statuses_and_events(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    told = repr(world.status.statuses) + repr(world.status.events) + repr(world.runtime.applied)
    assert "p@ss" not in told
    assert "p%40ss" not in told


async def test_a_removed_config_key_goes_back_to_its_default(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    spec = build_spec()
    spec["topics"][0]["config"] = {}
    await reconciler.reconcile(build_body(spec, generation=2), Wake.CHANGE)
    assert world.kafka.topics["team.shop.orders"].config == {}


async def test_the_time_of_a_transition_moves_with_the_status_alone(world: World) -> None:
    ticks = iter(f"2026-01-01T00:00:{second:02}Z" for second in range(60))
    settings = Settings(signing_key=b"key")
    reconciler = Reconciler(world.ports, settings, now=lambda: next(ticks))
    await settle(reconciler, build_body())
    since = world.status.condition("TopicsReady")["lastTransitionTime"]
    world.runtime.available = False
    await reconciler.reconcile(copy.deepcopy(build_body()), Wake.CHILD)
    assert world.status.condition("TopicsReady")["lastTransitionTime"] == since
    assert world.status.condition("WorkloadsReady")["lastTransitionTime"] > since


async def test_another_number_of_copies_is_told_with_the_reassignment(
    world: World, reconciler: Reconciler
) -> None:
    body = build_body()
    await settle(reconciler, body)
    body["spec"]["topics"][0] |= {"replicationFactor": 3}
    body["metadata"]["generation"] += 1
    await reconciler.reconcile(body, Wake.CHANGE)
    conditions = world.status.statuses[-1]["conditions"]
    found = next(c for c in conditions if c["type"] == "TopicsReady")
    assert found["reason"] == "ReplicationFactorDiffers"
    assert '"topic":"team.shop.orders","partition":0,"replicas":[1,2,3]' in found["message"]
