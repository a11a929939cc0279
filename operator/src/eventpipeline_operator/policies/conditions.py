"""Step conditions → summary conditions → the whole status."""

from collections.abc import Mapping, Sequence
from typing import Any

from eventpipeline_operator.api.conditions import Condition, ConditionType, Status, current
from eventpipeline_operator.api.observed import Fate, Observation, Problem
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline

Json = Mapping[str, Any]


def summarise(steps: Sequence[Condition], problems: Sequence[Problem]) -> tuple[Condition, ...]:
    """Ready, and while true Reconciling or Stalled, before the step conditions."""
    failing = next((c for c in steps if c.status is not Status.TRUE), None)
    if failing is None:
        ready = Condition(
            ConditionType.READY, Status.TRUE, Reason.SUCCEEDED, "; ".join(c.message for c in steps)
        )
        return (ready, *steps)
    stalled = next((p for p in problems if p.fate is Fate.STALL), None)
    shown = stalled or Problem(failing.reason, failing.message)
    ready = Condition(ConditionType.READY, Status.FALSE, shown.reason, shown.message)
    kind = ConditionType.STALLED if stalled else ConditionType.RECONCILING
    return (ready, Condition(kind, Status.TRUE, shown.reason, shown.message), *steps)


def build_status(
    pipeline: EventPipeline,
    previous: Json,
    observation: Observation,
    conditions: Sequence[Condition],
    now: str,
) -> dict[str, Any]:
    """The status after a full pass; equal to `previous` when nothing changed."""
    status = {
        "observedGeneration": pipeline.generation,
        "conditions": stamp(conditions, pipeline.generation, previous, now),
        "topics": _topics(pipeline, previous, observation),
        **_users(observation),
        "services": _services(previous, observation),
        "secrets": [
            {"name": s.name, "secretName": s.object_name, "version": s.version}
            for s in observation.secrets.items
        ],
    }
    if observation.workloads.url:
        status["url"] = observation.workloads.url
    return status


def build_refusal(
    pipeline: EventPipeline, previous: Json, condition: Condition, now: str
) -> dict[str, Any]:
    """The status of an object on which no step runs: everything but the summary stays."""
    kept = {
        kind: raw
        for kind, raw in current(previous).items()
        if kind not in (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)
    }
    summary = [condition]
    if condition.status is Status.FALSE:
        summary.append(
            Condition(ConditionType.STALLED, Status.TRUE, condition.reason, condition.message)
        )
    stamped = stamp(summary, pipeline.generation, previous, now)
    return {
        **previous,
        "observedGeneration": pipeline.generation,
        "conditions": [*stamped, *(dict(raw) for raw in kept.values())],
    }


def stamp(
    conditions: Sequence[Condition], generation: int, previous: Json, now: str
) -> list[dict[str, Any]]:
    """Wire forms; the time of the last transition moves only with the status."""
    before = current(previous)
    stamped = []
    for condition in conditions:
        was = before.get(condition.type)
        same = was is not None and was["status"] == condition.status
        since = was["lastTransitionTime"] if was is not None and same else now
        stamped.append(condition.to_dict(generation, since))
    return stamped


def changed(previous: Json, conditions: Sequence[Condition]) -> list[Condition]:
    """Conditions whose status or reason differ from before.

    A step that is in order from the start is no news: Ready will tell.
    """
    before = {t: (c["status"], c["reason"]) for t, c in current(previous).items()}
    return [
        c
        for c in conditions
        if before.get(c.type) != (c.status, c.reason)
        and (c.type in before or c.type is ConditionType.READY or c.status is not Status.TRUE)
    ]


def newsworthy(conditions: Sequence[Condition]) -> list[Condition]:
    """Conditions that an event may tell of, none twice: Ready sums up the steps when it is true."""
    ready = [c for c in conditions if c.type is ConditionType.READY and c.status is Status.TRUE]
    summaries = (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)
    return ready or [c for c in conditions if c.type not in summaries]


def _topics(pipeline: EventPipeline, previous: Json, observation: Observation) -> dict[str, Any]:
    topics = observation.topics
    verified = (previous.get("topics") or {}).get("verifiedGeneration")
    if topics.exist:
        verified = pipeline.generation
    return {
        "desired": topics.desired,
        "ready": topics.ready,
        "summary": f"{topics.ready}/{topics.desired}",
        **({"verifiedGeneration": verified} if verified is not None else {}),
        "items": [
            {
                "topicName": item.topic_name,
                "id": item.id,
                **({"configKeys": list(item.config_keys)} if item.config_keys else {}),
            }
            for item in topics.items
        ],
    }


def _users(observation: Observation) -> dict[str, Any]:
    users = observation.users
    if users is None:
        return {}
    items = [
        {"userName": u.name, **({"secretName": u.object_name} if u.object_name else {})}
        for u in users.items
    ]
    return {"users": {"desired": users.desired, "items": items}}


def _services(previous: Json, observation: Observation) -> dict[str, Any]:
    workloads = observation.workloads
    if not workloads.evaluated and previous.get("services"):
        return dict(previous["services"])
    ready = sum(1 for service in workloads.services if service.ready)
    return {
        "desired": workloads.desired,
        "ready": ready,
        "summary": f"{ready}/{workloads.desired}",
    }
