"""When an object goes: its workloads stop, then its topics go or are left behind, and that is told.

Under Retain (the default) nothing waits for the operator: children follow by owner reference, and
what stays in Kafka is told when the object is gone. Under Delete a finalizer of ours holds the
object until its topics are decided about, within a minute of the operator's seeing it; and so it
does where the object has Kafka users, which always go. policies/deletion.py decides about topics.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from eventpipeline_operator.api.conditions import Condition, ConditionType, Status
from eventpipeline_operator.api.names import FINALIZER, ORPHAN_FINALIZER, topic_prefix
from eventpipeline_operator.api.parsing import identify
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import DeletionPolicy, EventPipeline
from eventpipeline_operator.desired.parting import build_parting, recorded_topics
from eventpipeline_operator.errors import ReconcileError, Retryable, Stalled, Waiting
from eventpipeline_operator.policies.deletion import (
    Budget,
    DeletionPlan,
    Left,
    Obstacle,
    keep_all,
    plan_deletion,
)
from eventpipeline_operator.reconcile.away import AWAY_SECONDS, Away
from eventpipeline_operator.reconcile.claims import Claims
from eventpipeline_operator.reconcile.legacies import Legacies
from eventpipeline_operator.reconcile.ports import Ports
from eventpipeline_operator.reconcile.queue import Outcome
from eventpipeline_operator.reconcile.users import Users, has_users, recorded_users

log = structlog.get_logger()

PATIENCE_SECONDS = 45.0  # of the minute: the rest is for telling and releasing
POLL_SECONDS = 1.0
LEAST_SECONDS = 5.0
KAFKA_REASONS = frozenset(
    {Reason.KAFKA_UNAVAILABLE, Reason.KAFKA_DENIED, Reason.KAFKA_SECRET_MISSING}
)


@dataclass
class _Departure:
    """How far the end of one object is."""

    began: float
    pause: float = POLL_SECONDS
    waiting: tuple[Left, ...] = ()
    users_gone: bool = False
    users_left: tuple[str, ...] = ()
    removed: set[str] = field(default_factory=set)
    told: bool = False
    released: bool = False


class Departures:
    """Guards live objects, and sees off those that go."""

    def __init__(
        self,
        ports: Ports,
        claims: Claims,
        users: Users,
        max_records: int,
        clock: Callable[[], float],
        legacies: Legacies,
    ) -> None:
        self._ports = ports
        self._claims = claims
        self._users = users
        self._max_records = max_records
        self._clock = clock
        self._legacies = legacies
        self._departures: dict[str, _Departure] = {}
        self._away = Away(clock)

    async def guard(self, pipeline: EventPipeline) -> None:
        """Have the finalizer on a live object exactly where Delete is set, or users are there."""
        wanted = pipeline.deletion_policy is DeletionPolicy.DELETE or has_users(pipeline)
        if wanted != (FINALIZER in pipeline.finalizers):
            await self._ports.finalizers.keep(pipeline, present=wanted)

    async def finalize(self, pipeline: EventPipeline) -> Outcome:
        """One pass over an object that goes."""
        departure = self._departures.setdefault(pipeline.uid, _Departure(self._clock()))
        if departure.released or FINALIZER not in pipeline.finalizers:
            return Outcome.DONE
        left = await self._decide(pipeline, departure)
        if left is None or not await self._see_off_users(pipeline, departure):
            return Outcome.RETRY
        if left or departure.users_left:
            await self._leave(pipeline, departure, left)
        await self._ports.finalizers.keep(pipeline, present=False)
        departure.released = True
        log.info("object released", removed=len(departure.removed), left=len(left))
        return Outcome.DONE

    def due_in(self, uid: str) -> float | None:
        """Seconds until an object that goes wants its next pass."""
        departure = self._departures.get(uid)
        return None if departure is None or departure.released else departure.pause

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._departures.pop(uid, None)

    def bury(self, body: Mapping[str, Any]) -> None:
        """The object is gone: what it leaves is told, unless that was done while it went."""
        pipeline = identify(body)
        departure = self._departures.get(pipeline.uid)
        removed = departure.removed if departure else set()
        topics = [t for t in recorded_topics(pipeline.status) if t not in removed]
        users = tuple(recorded_users(pipeline))
        if (topics or users) and not (departure and departure.released):
            left = keep_all(topics, Obstacle.RETAINED)
            self._legacies.tell(pipeline, left)
            if users:
                self._legacies.tell_users(pipeline, users, "the finalizer was taken off")
            servers = (body["spec"].get("kafka") or {}).get("bootstrapServers", "")
            self._legacies.note(pipeline, servers, left, users)

    async def _decide(
        self, pipeline: EventPipeline, departure: _Departure
    ) -> tuple[Left, ...] | None:
        """What is left behind; None while that is open."""
        fixed = _foregone(pipeline)
        if fixed:
            recorded = recorded_topics(pipeline.status)
            return keep_all((t for t in recorded if t not in departure.removed), fixed)
        remaining = departure.began + PATIENCE_SECONDS - self._clock()
        if remaining <= 0:
            return departure.waiting
        try:
            async with asyncio.timeout(max(remaining, LEAST_SECONDS)):
                plan = await self._attempt(pipeline, departure)
        except (ReconcileError, TimeoutError) as error:
            plan = self._postpone(pipeline, departure, error)
        departure.waiting = (*plan.left, *plan.waiting)
        if not plan.waiting:
            return plan.left
        log.info(
            "object waits to go", topics={each.topic: each.message for each in plan.waiting[:20]}
        )
        return None

    async def _see_off_users(self, pipeline: EventPipeline, departure: _Departure) -> bool:
        """Whether nothing more is to be done about the object's Kafka users."""
        if departure.users_gone or not has_users(pipeline):
            return True
        kept = await self._remove_users(pipeline, departure)
        if kept:
            prefix = f"{topic_prefix(pipeline.key)}*"
            departure.users_left = tuple(recorded_users(pipeline)) or (prefix,)
            said = self._legacies.tell_users(pipeline, departure.users_left, kept)
            news = Condition(ConditionType.USERS, Status.FALSE, Reason.USERS_LEFT_BEHIND, said)
            await self._ports.status.emit_event(pipeline, news)
        departure.users_gone = kept is not None
        return departure.users_gone

    async def _remove_users(self, pipeline: EventPipeline, departure: _Departure) -> str | None:
        """Why they stay, empty when they are gone; None while that is open."""
        if not pipeline.bootstrap_servers:
            return "the object could not be read"
        if ORPHAN_FINALIZER in pipeline.finalizers:
            return "the workloads go on"
        remaining = departure.began + PATIENCE_SECONDS - self._clock()
        try:
            async with asyncio.timeout(max(remaining, LEAST_SECONDS)):
                await self._stop_workloads(pipeline)
                self._away.refuse(pipeline.bootstrap_servers)
                await self._users.depart(pipeline)
        except (ReconcileError, TimeoutError) as error:
            _, message = self._note(pipeline, departure, error)
            log.info("object waits to go", users=message)
            return message if isinstance(error, Stalled) or remaining <= 0 else None
        return ""

    async def _stop_workloads(self, pipeline: EventPipeline) -> None:
        """Waiting until the last of them has ended."""
        await self._ports.runtime.prune(pipeline, [])
        if self._ports.runtime.holds_workloads(pipeline):
            raise Waiting(Obstacle.WORKLOADS_RUNNING, "workloads are still stopping")

    async def _attempt(self, pipeline: EventPipeline, departure: _Departure) -> DeletionPlan:
        """Stop the workloads, judge the topics, remove what may go."""
        removal = self._ports.removal
        await self._stop_workloads(pipeline)
        parting, access = build_parting(pipeline), pipeline.kafka_access
        if not parting.topics:
            return DeletionPlan()
        self._away.refuse(pipeline.bootstrap_servers)
        existing = await removal.inspect(access, tuple(parting.topics))
        rivals = self._claims.rivals(pipeline.uid, pipeline.bootstrap_servers, existing)
        budget = Budget(
            prefix=topic_prefix(pipeline.key),
            groups=parting.groups,
            max_records=self._max_records,
            approved=pipeline.approved_deletions,
        )
        plan = plan_deletion(parting.topics, existing, rivals, budget)
        if not plan.remove:
            return plan
        refused = await removal.remove(access, plan.remove)
        removed = plan.remove.keys() - refused.keys()
        departure.removed |= removed
        self._ports.metrics.removed(len(removed))
        log.info("topics removed", topics=sorted(removed))
        kept = tuple(Left(name, Obstacle.REFUSED, words) for name, words in refused.items())
        return DeletionPlan(waiting=plan.waiting, left=(*plan.left, *kept))

    def _postpone(
        self, pipeline: EventPipeline, departure: _Departure, error: Exception
    ) -> DeletionPlan:
        """Nothing could be decided now: what passes by itself is waited for."""
        obstacle, message = self._note(pipeline, departure, error)
        topics = [t for t in build_parting(pipeline).topics if t not in departure.removed]
        left = keep_all(topics, obstacle, message)
        return DeletionPlan(left=left) if isinstance(error, Stalled) else DeletionPlan(waiting=left)

    def _note(
        self, pipeline: EventPipeline, departure: _Departure, error: Exception
    ) -> tuple[Obstacle, str]:
        """What a failure is, in a word and in words; it says when to try again."""
        message = error.message if isinstance(error, ReconcileError) else "no answer in time"
        obstacle = (
            Obstacle.KAFKA_DENIED if isinstance(error, Stalled) else Obstacle.KAFKA_UNAVAILABLE
        )
        if isinstance(error, ReconcileError) and error.reason not in KAFKA_REASONS:
            obstacle = Obstacle.WORKLOADS_RUNNING
        away = obstacle is Obstacle.KAFKA_UNAVAILABLE
        departure.pause = AWAY_SECONDS if away else POLL_SECONDS
        if away and isinstance(error, Retryable):
            self._away.note(pipeline.bootstrap_servers, error)
        return obstacle, message

    async def _leave(
        self, pipeline: EventPipeline, departure: _Departure, left: tuple[Left, ...]
    ) -> None:
        if left and not departure.told:
            departure.told = True
            self._legacies.tell(pipeline, left)
            named = ", ".join(f"{each.topic} ({each.message or each.obstacle})" for each in left)
            said = f"{len(left)} topics are left behind: {named}"
            await self._ports.status.emit_event(
                pipeline,
                Condition(ConditionType.TOPICS, Status.FALSE, Reason.TOPICS_LEFT_BEHIND, said),
            )
        await self._legacies.write(pipeline, left, departure.users_left)


def _foregone(pipeline: EventPipeline) -> Obstacle | None:
    """Why nothing is to be decided."""
    if pipeline.deletion_policy is DeletionPolicy.RETAIN:
        return Obstacle.RETAINED
    if not pipeline.bootstrap_servers:
        return Obstacle.SPEC_UNREADABLE
    if ORPHAN_FINALIZER in pipeline.finalizers:  # kubectl delete --cascade=orphan
        return Obstacle.ORPHANED
    return None
