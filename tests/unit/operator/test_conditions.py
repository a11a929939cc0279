"""Observations → conditions → status."""

from typing import Any

import pytest

from eventpipeline_operator.api.conditions import Condition, ConditionType, Status
from eventpipeline_operator.api.observed import (
    Fate,
    MigrationPhase,
    MigrationState,
    Observation,
    Problem,
    ServiceState,
    TopicsObservation,
    WorkloadsObservation,
    WorkloadState,
)
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.policies.conditions import (
    build_status,
    changed,
    newsworthy,
    stamp,
    summarise,
)
from eventpipeline_operator.policies.readiness import evaluate_topics, evaluate_workloads
from unit.operator.bodies import build_pipeline

GOOD = Condition(ConditionType.TOPICS, Status.TRUE, Reason.TOPICS_IN_SYNC, "fine")
BAD = Condition(ConditionType.WORKLOADS, Status.FALSE, Reason.ROLLING_OUT, "on its way")
PULL = Problem(Reason.IMAGE_PULL_FAILED, "pod x: image y cannot be pulled")
REFUSED = Problem(Reason.OBJECT_REFUSED, "Deployment x: no", Fate.STALL)


def build_service(*workloads: WorkloadState, migration: MigrationState | None = None) -> Any:
    service = ServiceState("order", workloads, migration)
    return WorkloadsObservation(desired=1, evaluated=True, services=(service,))


READY = WorkloadState("order", 2, 2, 2, current=True)


@pytest.mark.parametrize(
    ("observation", "status", "reason"),
    [
        (build_service(READY), "True", Reason.WORKLOADS_AVAILABLE),
        (build_service(WorkloadState("order", 2, 2, 1, current=True)), "False", Reason.ROLLING_OUT),
        (
            build_service(WorkloadState("order", 2, 2, 2, current=False)),
            "False",
            Reason.ROLLING_OUT,
        ),
        (
            build_service(WorkloadState("order", 2, 2, 0, current=True, problem=PULL)),
            "False",
            Reason.IMAGE_PULL_FAILED,
        ),
        (
            build_service(WorkloadState("order", 2, 2, 2, current=True, problem=PULL)),
            "True",
            Reason.WORKLOADS_AVAILABLE,
        ),
        (
            build_service(WorkloadState("c", 4, 4, 1, current=True, least=1)),
            "True",
            Reason.WORKLOADS_AVAILABLE,
        ),
        (
            build_service(WorkloadState("c", 4, 4, 0, current=True, least=1)),
            "False",
            Reason.ROLLING_OUT,
        ),
        (
            build_service(WorkloadState("c", 4, 4, 1, current=True, least=1, problem=PULL)),
            "False",
            Reason.IMAGE_PULL_FAILED,
        ),
        (
            build_service(READY, migration=MigrationState(MigrationPhase.RUNNING)),
            "False",
            Reason.MIGRATION_RUNNING,
        ),
        (
            build_service(READY, migration=MigrationState(MigrationPhase.SUCCEEDED)),
            "True",
            Reason.WORKLOADS_AVAILABLE,
        ),
        (
            build_service(READY, migration=MigrationState(MigrationPhase.FAILED, REFUSED)),
            "False",
            Reason.OBJECT_REFUSED,
        ),
    ],
)
def test_workloads_are_ready_when_all_is_current_and_migrated(
    observation: WorkloadsObservation, status: str, reason: str
) -> None:
    condition = evaluate_workloads(observation)
    assert (condition.status, condition.reason) == (status, reason)


def test_the_gravest_problem_gives_the_reason_and_all_are_named() -> None:
    problems = (PULL, REFUSED, PULL, PULL)
    condition = evaluate_topics(TopicsObservation(desired=1, problems=problems))
    assert condition.reason == Reason.OBJECT_REFUSED
    assert condition.message.startswith("Deployment x: no; pod x")
    assert condition.message.endswith("and 1 more")


@pytest.mark.parametrize(
    ("steps", "problems", "wanted"),
    [
        ([GOOD], [], {"Ready": "True"}),
        ([GOOD, BAD], [PULL], {"Ready": "False", "Reconciling": "True"}),
        ([GOOD, BAD], [PULL, REFUSED], {"Ready": "False", "Stalled": "True"}),
    ],
)
def test_the_summary_follows_kstatus(
    steps: list[Condition], problems: list[Problem], wanted: dict[str, str]
) -> None:
    summary = [c for c in summarise(steps, problems) if c not in steps]
    assert {str(c.type): str(c.status) for c in summary} == wanted


def test_a_condition_keeps_its_time_until_its_status_changes() -> None:
    previous = {"conditions": stamp([GOOD], 1, {}, "then")}
    same = Condition(ConditionType.TOPICS, Status.TRUE, Reason.TOPICS_IN_SYNC, "other words")
    assert stamp([same], 2, previous, "now")[0]["lastTransitionTime"] == "then"
    bad = Condition(ConditionType.TOPICS, Status.FALSE, Reason.KAFKA_UNAVAILABLE, "away")
    assert stamp([bad], 2, previous, "now")[0]["lastTransitionTime"] == "now"


def test_only_changed_conditions_that_repeat_nothing_are_news() -> None:
    previous = {"conditions": stamp([GOOD], 1, {}, "then")}
    conditions = summarise([GOOD, BAD], [])
    assert [c.type for c in changed(previous, newsworthy(conditions))] == [ConditionType.WORKLOADS]


def test_the_same_observation_gives_the_same_status() -> None:
    pipeline, observation = build_pipeline(), Observation()
    conditions = summarise([GOOD, BAD], [])
    first = build_status(pipeline, {}, observation, conditions, "then")
    assert build_status(pipeline, first, observation, conditions, "now") == first


def test_a_step_that_is_in_order_from_the_start_is_no_news() -> None:
    assert changed({}, newsworthy(summarise([GOOD, BAD], []))) == [BAD]


def test_a_step_that_recovers_is_news_while_another_keeps_the_object_from_ready() -> None:
    away = Condition(ConditionType.TOPICS, Status.FALSE, Reason.KAFKA_UNAVAILABLE, "away")
    previous = {"conditions": stamp([away, BAD], 1, {}, "then")}
    assert changed(previous, newsworthy(summarise([GOOD, BAD], []))) == [GOOD]


def test_an_object_that_becomes_ready_is_one_piece_of_news() -> None:
    previous = {"conditions": stamp(summarise([BAD], []), 1, {}, "then")}
    (news,) = changed(previous, newsworthy(summarise([GOOD], [])))
    assert (news.type, news.status) == (ConditionType.READY, Status.TRUE)
