"""Which topics go with their object, which wait, and which stay."""

import pytest

from eventpipeline_operator.api.observed import TopicUsage
from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.desired.parting import build_parting
from eventpipeline_operator.policies.deletion import Budget, Obstacle, plan_deletion
from unit.operator.bodies import build_body, build_pipeline, build_spec

TOPIC = "team.shop.orders"
OWN = "team.shop.order.consumer"
BUDGET = Budget(prefix="team.shop.", groups=frozenset({"legacy"}), max_records=100)


def usage(
    *, topic_id: str = "id-1", records: int = 0, committed: str = "", live: str = ""
) -> TopicUsage:
    return TopicUsage(topic_id, records, frozenset(committed.split()), frozenset(live.split()))


@pytest.mark.parametrize(
    ("found", "obstacle"),
    [
        (usage(), None),
        (usage(records=100), None),
        (usage(records=101), Obstacle.TOO_MANY_RECORDS),
        (usage(committed=OWN), None),
        (usage(committed="legacy"), None),
        (usage(committed="team.shop.left-long-ago.worker"), None),
        (usage(committed="team.shopping.order.consumer"), Obstacle.OFFSETS_OUTSIDE),
        (usage(committed=f"{OWN} reports"), Obstacle.OFFSETS_OUTSIDE),
        (usage(live="reports"), Obstacle.MEMBER_ALIVE),
        (usage(live=f"{OWN} reports"), Obstacle.MEMBER_ALIVE),
        (usage(topic_id="id-2"), Obstacle.RECREATED),
    ],
)
def test_a_topic_goes_within_the_budget_alone(found: TopicUsage, obstacle: Obstacle | None) -> None:
    plan = plan_deletion({TOPIC: "id-1"}, {TOPIC: found}, {}, BUDGET)
    assert plan.remove == ({} if obstacle else {TOPIC: "id-1"})
    assert [each.obstacle for each in plan.left] == ([obstacle] if obstacle else [])
    assert plan.waiting == ()


def test_own_members_are_waited_for() -> None:
    plan = plan_deletion({TOPIC: "id-1"}, {TOPIC: usage(live=f"{OWN} legacy")}, {}, BUDGET)
    assert (plan.remove, plan.left) == ({}, ())
    assert [each.obstacle for each in plan.waiting] == [Obstacle.MEMBER_ALIVE]


@pytest.mark.parametrize("recorded", [{}, {TOPIC: ""}])
def test_a_topic_that_was_never_recorded_stays(recorded: dict[str, str]) -> None:
    plan = plan_deletion(recorded, {TOPIC: usage()}, {}, BUDGET)
    assert [each.obstacle for each in plan.left] == [Obstacle.NOT_RECORDED]


def test_a_topic_that_another_object_declares_too_stays() -> None:
    rivals = {TOPIC: Key("team", "successor")}
    plan = plan_deletion({TOPIC: "id-1"}, {TOPIC: usage()}, rivals, BUDGET)
    assert [each.obstacle for each in plan.left] == [Obstacle.CLAIMED]
    assert "team/successor" in plan.left[0].message


def test_a_topic_that_is_gone_asks_for_nothing() -> None:
    plan = plan_deletion({TOPIC: "id-1"}, {}, {}, BUDGET)
    assert (plan.remove, plan.waiting, plan.left) == ({}, (), ())


@pytest.mark.parametrize(
    ("approved", "goes"), [("*", True), (TOPIC, True), (f"x,{TOPIC}", True), ("orders", False)]
)
def test_an_annotation_approves_what_exceeds_the_budget(approved: str, *, goes: bool) -> None:
    annotations = {"eventpipeline.dev/approve-topic-deletion": approved}
    pipeline = build_pipeline(annotations=annotations)
    budget = Budget("team.shop.", frozenset(), 100, pipeline.approved_deletions)
    found = usage(records=101, committed="reports", live="reports")
    plan = plan_deletion({TOPIC: "id-1"}, {TOPIC: found}, {}, budget)
    assert plan.remove == ({TOPIC: "id-1"} if goes else {})


@pytest.mark.parametrize("recorded", [{TOPIC: "id-2"}, {}])
def test_nothing_approves_a_topic_that_is_not_the_recorded_one(recorded: dict[str, str]) -> None:
    budget = Budget("team.shop.", frozenset(), 100, ("*",))
    plan = plan_deletion(recorded, {TOPIC: usage()}, {TOPIC: Key("a", "b")}, budget)
    assert plan.remove == {}


def test_messages_name_a_few_groups_and_count_the_rest() -> None:
    plan = plan_deletion({TOPIC: "id-1"}, {TOPIC: usage(committed="a b c d e")}, {}, BUDGET)
    assert plan.left[0].message == "committed offsets of groups a, b, c and 2 more"


def test_declared_recorded_and_dead_letter_topics_are_the_objects_own_and_external_ones_not() -> (
    None
):
    spec = build_spec()
    spec["topics"].append({"name": "theirs", "external": {"topicName": "market.prices"}})
    spec["services"][0]["workers"][1]["consumes"] = ["stock-events", "theirs"]
    spec["services"][0]["workers"][1]["consumerGroup"] = "legacy"
    items = [
        {"topicName": TOPIC, "id": "id-1"},
        {"topicName": "team.shop.former", "id": "id-2"},
        {"topicName": "market.prices", "id": "id-3"},
    ]
    body = {**build_body(spec), "status": {"topics": {"items": items}}}
    parting = build_parting(parse(body))
    assert parting.topics == {
        TOPIC: "id-1",
        "team.shop.former": "id-2",
        "team.shop.stock-events": "",
        "team.shop.stock-events.order.dlq": "",
        "team.shop.theirs.order.dlq": "",
    }
    assert parting.groups == {"legacy"}
