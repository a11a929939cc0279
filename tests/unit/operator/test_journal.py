"""What is kept of passes: causes, differences, calls, results; bounded, and nothing at rest."""

import asyncio
import copy
import json
from typing import Any

import pytest

from eventpipeline_operator.adapters.kube import archive
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.errors import Stalled
from eventpipeline_operator.reconcile.journal import CALLS, GENERATIONS, merge_records
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.ports import KvValue
from eventpipeline_operator.reconcile.queue import Wake
from eventpipeline_operator.reconcile.recording import record_call
from unit.operator.bodies import build_body, build_spec
from unit.operator.fakes import World

Json = dict[str, Any]
PLANTED = "hunter2-Zx81"


@pytest.fixture
def world() -> World:
    return World()


def build_reconciler(world: World) -> Reconciler:
    settings = Settings(signing_key=b"key")
    return Reconciler(world.ports, settings, clock=lambda: 0.0, now=lambda: "2026-01-01T00:00:00Z")


@pytest.fixture
def reconciler(world: World) -> Reconciler:
    return build_reconciler(world)


async def settle(reconciler: Reconciler, body: Json) -> None:
    await reconciler.reconcile(body, Wake.CHANGE)
    await reconciler.reconcile(body, Wake.CHILD)
    await reconciler.journal.flush()


def generations(world: World) -> list[Json]:
    found: list[Json] = json.loads(world.archive.texts["team.shop"])["generations"]
    return found


async def test_a_new_object_leaves_cause_calls_and_results(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    (entry,) = generations(world)
    assert entry["generation"] == 1
    assert entry["causes"] == {"change": 1, "child": 1}
    assert entry["differences"] == ["created"]
    assert entry["calls"][0] == {
        "at": "2026-01-01T00:00:00Z",
        "call": "create topics",
        "object": "team.shop.orders, team.shop.stock-events, team.shop.stock-events.order.dlq",
        "result": "done",
    }
    assert entry["results"][-1]["type"] == "Ready"


async def test_a_change_says_what_differs(world: World, reconciler: Reconciler) -> None:
    await settle(reconciler, build_body())
    spec = build_spec()
    spec["services"][0]["image"] = "order:2"
    spec["config"]["LOG_LEVEL"] = "debug"
    spec["topics"].append({"name": "more", "partitions": 2})
    await settle(reconciler, build_body(spec, generation=2))
    assert generations(world)[-1]["differences"] == [
        "spec.config.LOG_LEVEL changed",
        "spec.services[order].image order:1 → order:2",
        "spec.topics[more] added",
    ]


async def test_a_pass_that_does_nothing_leaves_no_trace(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    writes = world.archive.writes
    for wake in Wake:
        await reconciler.reconcile(build_body(), wake)
    await reconciler.journal.flush()
    assert world.archive.writes == writes


async def test_a_restarted_operator_writes_nothing_and_goes_on_where_it_was(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    writes = world.archive.writes
    again = build_reconciler(world)
    body = {**build_body(), "status": world.status.statuses[-1]}
    await settle(again, body)
    assert world.archive.writes == writes
    del world.runtime.applied["order"]
    changed = build_spec()
    changed["services"][0]["image"] = "order:2"
    await settle(again, {**build_body(changed, generation=2), "status": body["status"]})
    assert [g["generation"] for g in generations(world)] == [1, 2]


async def test_what_changed_while_nobody_looked_is_not_made_up(
    world: World, reconciler: Reconciler
) -> None:
    body = {**build_body(generation=3), "status": {"observedGeneration": 2}}
    await settle(reconciler, body)
    assert "not known" in generations(world)[-1]["differences"][0]


async def test_the_last_ten_generations_are_kept(world: World, reconciler: Reconciler) -> None:
    for generation in range(1, 15):
        spec = build_spec()
        spec["services"][0]["image"] = f"order:{generation}"
        await settle(reconciler, build_body(spec, generation=generation))
    assert [g["generation"] for g in generations(world)] == list(range(5, 15))


def build_record(generation: int, calls: int, uid: str = "u") -> Json:
    call = {"at": "t", "call": "apply", "object": "x" * 300, "result": "y" * 300}
    entry = {
        "generation": generation, "first": "t", "last": "t", "causes": {"change": 1},
        "differences": ["d" * 300] * 21, "calls": [call] * calls,
        "results": [{"message": "m" * 300}] * calls,
    }  # fmt: skip
    return {"uid": uid, "generations": [entry]}


def test_a_record_stays_bounded_whatever_happens() -> None:
    record: Json | None = None
    for generation in range(30):
        for _ in range(5):
            record = merge_records(record, build_record(generation, 100))
    assert record
    assert len(record["generations"]) == GENERATIONS
    last = record["generations"][-1]
    assert len(last["calls"]) == CALLS
    assert last["callsLeftOut"] == 500 - CALLS
    assert len(json.dumps(record)) < 400_000


def test_the_journal_of_a_predecessor_is_not_continued() -> None:
    before = build_record(1, 1, uid="old")
    assert len(merge_records(before, build_record(1, 1, uid="new"))["generations"]) == 1


def test_a_full_shard_loses_what_was_longest_untouched() -> None:
    def journal(last: str) -> str:
        return json.dumps({"generations": [{"last": last, "x": "z" * (archive.SHARD_BYTES // 3)}]})

    data = {"a": journal("2026-01-03"), "b": journal("2026-01-01"), "c": journal("2026-01-02")}
    assert archive._too_much({"a": data["a"]}) == {}
    assert archive._too_much({**data, "gone": None}) == {"b": None}


async def test_what_could_not_be_written_waits_and_is_joined(
    world: World, reconciler: Reconciler
) -> None:
    world.archive.broken = {"team.shop"}
    await settle(reconciler, build_body())
    del world.runtime.applied["order"]
    spec = build_spec()
    spec["services"][0]["image"] = "order:2"
    await settle(reconciler, build_body(spec, generation=2))
    assert world.archive.texts == {}
    world.archive.broken = set()
    await reconciler.journal.flush()
    assert [g["generation"] for g in generations(world)] == [1, 2]


async def test_a_deleted_object_takes_its_journal_along(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    reconciler.forget("uid-1")
    await reconciler.journal.flush()
    assert world.archive.texts == {}


async def test_journals_of_objects_that_went_unseen_are_swept(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, build_body())
    world.archive.texts |= {"team.gone": '{"uid": "g"}', "team.there": '{"uid": "t"}'}
    asked = []

    async def exists(key: Key, uid: str) -> bool:
        asked.append((key, uid))
        return uid == "t"

    await reconciler.journal.sweep(exists)
    await reconciler.journal.sweep(exists)
    await reconciler.journal.flush()
    assert asked == [(("team", "gone"), "g"), (("team", "there"), "t")]
    assert set(world.archive.texts) == {"team.shop", "team.there"}


async def test_what_waits_is_written_when_the_operator_ends(
    world: World, reconciler: Reconciler
) -> None:
    await reconciler.reconcile(build_body(), Wake.CHANGE)
    task = asyncio.create_task(reconciler.journal.run())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert set(world.archive.texts) == {"team.shop"}


async def test_a_call_outside_of_any_pass_is_no_failure() -> None:
    record_call("apply", "Deployment x", "created")


def plant(spec: Json) -> None:
    """The secret wherever a user could put it."""
    spec["config"]["PASSWORD"] = PLANTED
    spec["vault"]["address"] = f"http://root:{PLANTED}@vault:8200"
    spec["ingress"]["annotations"] = {"auth": PLANTED}
    spec["tracing"]["endpoint"] = f"http://z/?token={PLANTED}"
    service = spec["services"][0]
    service["config"][PLANTED.upper().replace("-", "_")] = "x"
    service["args"] = ["--password", PLANTED]
    service["podTemplate"] = {"spec": {"containers": [{"name": "s", "env": [{"value": PLANTED}]}]}}


async def test_a_planted_secret_never_appears(world: World, reconciler: Reconciler) -> None:
    world.vault.secrets["shop"] = KvValue({"USER": "ada", "PASSWORD": PLANTED}, "1")
    await settle(reconciler, build_body())
    spec = build_spec()
    plant(spec)
    del spec["services"][0]["config"][PLANTED.upper().replace("-", "_")]
    world.runtime.failures["order"] = Stalled(
        Reason.OBJECT_REFUSED, f"Deployment shop-order: env value {PLANTED} is not valid"
    )
    await settle(reconciler, build_body(copy.deepcopy(spec), generation=2))
    spec["config"]["PASSWORD"] = f"{PLANTED}-more"
    await settle(reconciler, build_body(spec, generation=3))
    kept = world.archive.texts["team.shop"]
    assert "spec.config.PASSWORD changed" in kept
    assert "[redacted] is not valid" in kept
    assert PLANTED not in kept
