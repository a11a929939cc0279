"""Which topics a namespace may have, and which of others it may use."""

import pytest

from eventpipeline_operator.api.observed import Fate, ObservedTopic
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.policies.claims import Claim
from eventpipeline_operator.policies.grants import Grants, evaluate_grants
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.queue import Outcome, Wake
from unit.operator.bodies import Json, build_body, build_pipeline, build_spec
from unit.operator.fakes import World

PRICES = "market.prices.v3"
FEED = Key("market", "feed")


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("team.shared", True), ("market.prices", True), ("teams.other", False), ("x", False)],
)
def test_a_namespace_names_topics_in_its_own_prefix_or_by_grant(
    name: str, *, allowed: bool
) -> None:
    spec = build_spec()
    spec["topics"][0]["topicName"] = name
    grants = Grants(topics={"team": ("market.",)}, external={"team": ("x",)})
    problems = evaluate_grants(build_pipeline(spec), grants, {})
    assert set(problems) == (set() if allowed else {name})
    assert all(p.fate is Fate.STALL for p in problems.values())


def using(name: str) -> Json:
    return {
        "kafka": {"bootstrapServers": "kafka:9092"},
        "topics": [{"name": "prices", "external": {"topicName": name}}],
    }


def held(*shared_with: str) -> dict[str, Claim]:
    return {PRICES: Claim("2026", "o", FEED, shared_with)}


@pytest.mark.parametrize(
    ("name", "holders", "grants", "allowed"),
    [
        (PRICES, held("team"), Grants(), True),
        (PRICES, held("others", "team"), Grants(), True),
        (PRICES, held("others"), Grants(), False),
        (PRICES, held(), Grants(), False),
        (PRICES, {}, Grants(), False),
        (PRICES, {}, Grants(external={"team": ("market.",)}), True),
        (PRICES, {}, Grants(external={"others": ("market.",)}), False),
        (PRICES, {}, Grants(topics={"team": ("market.",)}), True),
        ("team.feed.prices", {}, Grants(), True),
    ],
)
def test_a_topic_of_others_is_used_when_it_is_shared_or_granted(
    name: str, holders: dict[str, Claim], grants: Grants, *, allowed: bool
) -> None:
    problems = evaluate_grants(build_pipeline(using(name)), grants, holders)
    assert set(problems) == (set() if allowed else {name})
    assert all(p.reason == Reason.EXTERNAL_TOPIC_DENIED for p in problems.values())


def test_a_refusal_says_who_must_grant_what() -> None:
    found = evaluate_grants(build_pipeline(using(PRICES)), Grants(), held())[PRICES]
    assert found.fate is Fate.STALL
    assert found.message == (
        "spec.topics[prices].external: market.prices.v3 is not shared with namespace team: "
        "let EventPipeline market/feed list team in that topic's sharedWith, or ask the "
        "operator's installer for a grant (externalGrants)"
    )
    unknown = evaluate_grants(build_pipeline(using(PRICES)), Grants(), {})[PRICES]
    assert "ask the operator's installer for a grant (externalGrants)" in unknown.message


def build(world: World, grants: Grants) -> Reconciler:
    settings = Settings(signing_key=b"key", grants=grants)
    return Reconciler(world.ports, settings, now=lambda: "2026-01-01T00:00:00Z")


async def test_a_granted_topic_is_used_and_never_touched() -> None:
    world = World()
    world.kafka.topics[PRICES] = ObservedTopic(PRICES, "id", 3, 1, {"retention.ms": "5"})
    reconciler = build(world, Grants(external={"team": ("market.",)}))
    assert await reconciler.reconcile(build_body(using(PRICES)), Wake.CHANGE) is Outcome.DONE
    assert world.kafka.writes == []
    assert world.status.condition("TopicsReady")["status"] == "True"
    assert world.status.statuses[-1]["topics"]["items"] == []


async def test_a_missing_topic_of_others_is_not_created() -> None:
    world = World()
    reconciler = build(world, Grants(external={"team": ("market.",)}))
    assert await reconciler.reconcile(build_body(using(PRICES)), Wake.CHANGE) is Outcome.STALLED
    assert world.kafka.writes == []
    found = world.status.condition("TopicsReady")
    assert (found["status"], found["reason"]) == ("False", Reason.EXTERNAL_TOPIC_MISSING)
    assert "create it or correct the name" in found["message"]


async def test_a_denied_topic_leaves_the_others_to_be_made() -> None:
    world = World()
    spec = using(PRICES)
    spec["topics"].append({"name": "own"})
    assert await build(world, Grants()).reconcile(build_body(spec), Wake.CHANGE) is Outcome.STALLED
    assert set(world.kafka.topics) == {"team.shop.own"}
    assert world.status.condition("Stalled")["reason"] == Reason.EXTERNAL_TOPIC_DENIED


async def test_a_withdrawn_grant_leaves_the_record_of_the_topic() -> None:
    world = World()
    spec = build_spec()
    spec["topics"][1]["topicName"] = "market.events"
    granted = build(world, Grants(topics={"team": ("market.",)}))
    await granted.reconcile(build_body(spec), Wake.CHANGE)
    before = world.status.statuses[-1]
    body = {**build_body(spec), "status": before}
    await build(world, Grants()).reconcile(body, Wake.CHANGE)
    after = world.status.statuses[-1]
    assert world.status.condition("TopicsReady")["reason"] == Reason.TOPIC_NAME_DENIED
    names = {item["topicName"] for item in after["topics"]["items"]}
    assert names == {item["topicName"] for item in before["topics"]["items"]}
    assert "market.events.order.dlq" in names
