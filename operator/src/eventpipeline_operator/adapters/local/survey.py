"""Gathers what there is to see (view.py) from the parts that know it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventpipeline_operator.adapters.local.lag import LagBoard, Waiting
from eventpipeline_operator.adapters.local.migrations import Migrations
from eventpipeline_operator.adapters.local.objects import Objects
from eventpipeline_operator.adapters.local.replica import Phase, Replica
from eventpipeline_operator.adapters.local.runtime import LocalRuntime
from eventpipeline_operator.adapters.local.view import Kind, Mood, Row, Site, View
from eventpipeline_operator.api.conditions import ConditionType, Status, current
from eventpipeline_operator.api.observed import MigrationPhase, MigrationState
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.desired.topics import build_topics

Json = Mapping[str, Any]

ERRORS = 5
MOODS = {
    Phase.READY: Mood.GOOD,
    Phase.STARTING: Mood.BUSY,
    Phase.STOPPING: Mood.BUSY,
    Phase.UNREADY: Mood.BAD,
    Phase.BACKING_OFF: Mood.BAD,
}
MIGRATION_MOODS = {
    MigrationPhase.SUCCEEDED: Mood.GOOD,
    MigrationPhase.FAILED: Mood.BAD,
}


@dataclass(frozen=True)
class Survey:
    """Everything that knows something."""

    objects: Objects
    runtime: LocalRuntime
    migrations: Migrations
    lags: LagBoard

    def look(
        self,
        pipelines: Sequence[EventPipeline],
        servers: Sequence[Row],
        notes: Sequence[str],
        errors: Sequence[str],
    ) -> View:
        """One sight of all."""
        rows = [row for pipeline in pipelines for row in self._rows(pipeline)]
        problems = [row.details["problem"] for row in rows if row.details.get("problem")]
        found = [*errors, *problems, *_complaints([self._status(p) for p in pipelines])]
        return View(
            sites=tuple(describe_state(p, self._status(p)) for p in pipelines),
            rows=(*servers, *rows),
            errors=tuple(dict.fromkeys(found))[:ERRORS],
            notes=tuple(notes),
        )

    def _status(self, pipeline: EventPipeline) -> Json:
        return self.objects.status(pipeline.key)

    def _rows(self, pipeline: EventPipeline) -> Iterator[Row]:
        status = self._status(pipeline)
        yield from topic_rows(pipeline, status, self.lags.waiting)
        yield from secret_rows(pipeline, status)
        for name, state in self.migrations.states(pipeline.key).items():
            yield _migration_row(name, state)
        for name, replica in self.runtime.processes(pipeline.key):
            yield process_row(name, replica)


def describe_state(pipeline: EventPipeline, status: Json) -> Site:
    """What the conditions say about the whole."""
    ready = current(status).get(ConditionType.READY)
    if ready is None:
        return Site(str(pipeline.key), ready=False, reason="starting")
    fine = ready["status"] == Status.TRUE and ready["observedGeneration"] == pipeline.generation
    return Site(str(pipeline.key), fine, ready["reason"], ready["message"], status.get("url"))


def topic_rows(pipeline: EventPipeline, status: Json, waiting: Waiting) -> Iterator[Row]:
    """Topics with the records that wait for each consumer."""
    there = {item["topicName"] for item in (status.get("topics") or {}).get("items") or ()}
    for record in build_topics(pipeline):
        lags = {name: lag for (topic, name), lag in waiting.items() if topic == record.name}
        known = record.external or record.name in there
        yield Row(
            Kind.TOPIC,
            record.name,
            f"{record.partitions} partitions" if known else "missing",
            Mood.GOOD if known else Mood.BUSY,
            {"lag": ", ".join(f"{lag} {name}" for name, lag in sorted(lags.items()))},
        )


def secret_rows(pipeline: EventPipeline, status: Json) -> Iterator[Row]:
    """Secrets by the version that is delivered, never by value."""
    items = {item["name"]: item for item in status.get("secrets") or ()}
    for secret in pipeline.secrets:
        item = items.get(secret.name)
        state, mood = ("delivered", Mood.GOOD) if item else ("missing", Mood.BUSY)
        version = str(item.get("version", "")) if item else ""
        yield Row(Kind.SECRET, secret.name, f"{state} {version}".strip(), mood)


def process_row(workload: str, replica: Replica) -> Row:
    """One process."""
    return Row(
        Kind.PROCESS,
        f"{workload}-{replica.ordinal}",
        str(replica.phase),
        MOODS[replica.phase],
        {
            "pid": str(replica.pid or ""),
            "port": str(replica.port or ""),
            "restarts": str(replica.restarts or ""),
            "problem": replica.problem.message if replica.problem else "",
        },
    )


def _migration_row(name: str, state: MigrationState) -> Row:
    return Row(
        Kind.MIGRATION,
        name,
        str(state.phase).lower(),
        MIGRATION_MOODS.get(state.phase, Mood.BUSY),
        {"problem": state.problem.message if state.problem else ""},
    )


def _complaints(statuses: Sequence[Json]) -> Iterator[str]:
    """What the conditions complain about, the summaries left out."""
    for status in statuses:
        stalled = current(status).get(ConditionType.STALLED)
        if stalled and stalled["status"] == Status.TRUE:
            yield stalled["message"]
