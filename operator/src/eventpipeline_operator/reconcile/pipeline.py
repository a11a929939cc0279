"""One pass over one object: the steps in order, then one status.

Serves create, update, resume, drift and timer alike. Steps report what they saw; only policies/
turns that into conditions.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from eventpipeline_operator.api.conditions import Condition, ConditionType, Status, current
from eventpipeline_operator.api.observed import (
    Fate,
    Observation,
    Problem,
    SecretsObservation,
    WorkloadsObservation,
)
from eventpipeline_operator.api.parsing import identify, parse
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.api.validation import validate
from eventpipeline_operator.errors import ReconcileError, Stalled
from eventpipeline_operator.policies import conditions as policy
from eventpipeline_operator.policies.grants import Grants
from eventpipeline_operator.policies.readiness import evaluate_steps
from eventpipeline_operator.reconcile.claims import Claims
from eventpipeline_operator.reconcile.finalize import Departures
from eventpipeline_operator.reconcile.journal import Journal
from eventpipeline_operator.reconcile.leases import Exists, Leases
from eventpipeline_operator.reconcile.legacies import Legacies
from eventpipeline_operator.reconcile.memory import Memory, note_spec
from eventpipeline_operator.reconcile.ports import Ports
from eventpipeline_operator.reconcile.queue import Outcome, Wake
from eventpipeline_operator.reconcile.recording import record_result
from eventpipeline_operator.reconcile.scaling import Scaler
from eventpipeline_operator.reconcile.secrets import (
    Delivery,
    reconcile_secrets,
    still_delivered,
)
from eventpipeline_operator.reconcile.topics import reconcile_topics
from eventpipeline_operator.reconcile.users import Users
from eventpipeline_operator.reconcile.workloads import reconcile_workloads

log = structlog.get_logger()


@dataclass(frozen=True)
class Settings:
    """What the installer decides about reconciling."""

    signing_key: bytes = field(repr=False)
    grants: Grants = field(default_factory=Grants)
    max_records: int = 1000
    trust_seconds: float = 60.0
    traefik_class: str = ""


def utc_now() -> str:
    """Wall clock as Kubernetes writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Reconciler:
    """Runs passes; holds per-object memory and nothing else."""

    def __init__(
        self,
        ports: Ports,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], str] = utc_now,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._ports = ports
        self._settings = settings
        self._clock = clock
        self._now = now
        self._memories: dict[str, Memory] = {}
        self._claims = Claims(settings.grants)
        self._users = Users(
            ports.users, ports.runtime, ports.secrets, settings.grants, settings.signing_key
        )
        self._legacies = Legacies(ports, now)
        self._departures = Departures(
            ports, self._claims, self._users, settings.max_records, clock, self._legacies
        )
        self._leases = Leases(ports.vault, ports.safe, wall)
        self.scaler = Scaler(ports.lags, ports.runtime, clock)
        self.journal = Journal(ports.archive, now)

    async def reconcile(self, body: Mapping[str, Any], wake: Wake) -> Outcome:
        """One pass; never raises for what is the object's or a server's fault."""
        started = self._clock()
        pipeline, complaints = _understand(body)
        memory = self._memories.setdefault(pipeline.uid, Memory(pipeline.status))
        pipeline = replace(pipeline, status=memory.status)  # what was written, not what came back
        differences = note_spec(pipeline, memory, body["spec"])
        try:
            if pipeline.deleting:
                outcome = await self._departures.finalize(pipeline)
            else:
                with self.journal.recording(pipeline, wake.name.lower(), differences):
                    outcome = await self._run(pipeline, memory, wake, complaints)
        except ReconcileError as error:  # a status that could not be written
            log.warning("pass broken off", reason=error.reason, message=error.message)
            self._ports.metrics.failed(error.reason)
            outcome = Outcome.RETRY
        self._ports.metrics.reconciled(pipeline.key, self._clock() - started, outcome.name.lower())
        return outcome

    def claim(self, body: Mapping[str, Any]) -> set[Key]:
        """Take note of an object's topics; returns the others that are concerned."""
        try:
            return self._claims.update(parse(body))
        except Stalled:  # what it claimed before stays its own
            return set()

    def bury(self, body: Mapping[str, Any]) -> None:
        """The object is gone: tell what it leaves."""
        self._departures.bury(body)

    def forget(self, uid: str) -> set[Key]:
        """The object is gone; returns the others that may now have its topics."""
        memory = self._memories.pop(uid, None)
        if memory and memory.key:
            self.journal.forget(memory.key)
        self._departures.forget(uid)
        self._leases.forget(uid)
        self.scaler.forget(uid)
        return self._claims.release(uid)

    def due_in(self, uid: str) -> float | None:
        """Seconds until the object wants a pass of itself."""
        dues = (self._leases.due_in(uid), self._departures.due_in(uid))
        return min((due for due in dues if due is not None), default=None)

    def unready(self) -> Counter[str]:
        """How many objects are not Ready, by the reason that they give."""
        told = (current(m.status).get(ConditionType.READY) for m in self._memories.values())
        return Counter(c["reason"] for c in told if c and c["status"] != Status.TRUE)

    def unwritten(self) -> int:
        """How many records about objects are yet to be written: at rest none."""
        return len(self.journal) + len(self._legacies)

    async def sweep(self, exists: Exists) -> None:
        """Give up what objects that are gone have held, and write down what they have left."""
        await self._legacies.flush()
        await self._leases.sweep(exists)
        await self.journal.sweep(exists)

    async def _run(
        self, pipeline: EventPipeline, memory: Memory, wake: Wake, complaints: Sequence[str]
    ) -> Outcome:
        await self._departures.guard(pipeline)
        await self._leases.keep(pipeline)
        refusal = _refusal(pipeline, complaints)
        if refusal:  # only a change of the object can mend it
            status = policy.build_refusal(pipeline, memory.status, refusal, self._now())
            await self._publish(pipeline, memory, status, [refusal])
            return Outcome.DONE
        if not self._still_verified(pipeline, memory, wake):
            await self._verify(pipeline, memory)
        workloads = await self._workloads(pipeline, memory)
        if workloads.evaluated:
            await self._leases.release(pipeline, self._ports.runtime, memory.delivered)
        observation = Observation(memory.topics, memory.users, memory.secrets, workloads)
        steps = evaluate_steps(observation)
        conditions = policy.summarise(steps, observation.problems)
        status = policy.build_status(pipeline, memory.status, observation, conditions, self._now())
        await self._publish(pipeline, memory, status, policy.newsworthy(conditions))
        leaving = memory.users is not None and memory.users.leaving
        return _outcome(observation.problems, leaving=leaving)

    def _still_verified(self, pipeline: EventPipeline, memory: Memory, wake: Wake) -> bool:
        """A child's change says nothing about Kafka and Vault: they are not asked again."""
        return (
            wake is Wake.CHILD
            and memory.generation == pipeline.generation
            and self._clock() - memory.verified_at < self._settings.trust_seconds
            and still_delivered(pipeline, self._ports.runtime, memory.all_delivered)
        )

    async def _verify(self, pipeline: EventPipeline, memory: Memory) -> None:
        ports, settings = self._ports, self._settings
        memory.verified_at = float("-inf")
        memory.topics = await reconcile_topics(pipeline, ports.kafka, settings.grants, self._claims)
        memory.users, memory.logins = await self._users.reconcile(pipeline, memory.topics)
        if self._waiting_for_topics(pipeline, memory):
            waiting = Problem(Reason.WAITING_FOR_TOPICS, "secrets wait for the topics")
            desired = len(pipeline.secrets)
            memory.secrets = SecretsObservation(desired=desired, problems=(waiting,))
            memory.delivered = {}
            return
        delivery = Delivery(
            ports.vault, ports.runtime, self._leases, settings.signing_key, self._now()
        )
        memory.secrets, memory.delivered = await reconcile_secrets(pipeline, delivery)
        if memory.is_quiet():
            memory.verified_at, memory.generation = self._clock(), pipeline.generation

    async def _workloads(self, pipeline: EventPipeline, memory: Memory) -> WorkloadsObservation:
        waiting = None
        if self._waiting_for_topics(pipeline, memory):
            waiting = Problem(Reason.WAITING_FOR_TOPICS, "workloads wait for the topics")
        elif memory.users and not memory.users.usable:
            waiting = Problem(Reason.WAITING_FOR_USERS, "workloads wait for their Kafka users")
        elif not memory.secrets.usable:
            waiting = Problem(Reason.WAITING_FOR_SECRETS, "workloads wait for the secrets")
        if waiting:
            return WorkloadsObservation(desired=len(pipeline.services), problems=(waiting,))
        supported = memory.users is None or memory.users.supported
        return await reconcile_workloads(
            pipeline if supported else replace(pipeline, kafka_users=False),
            self._ports.runtime,
            self.scaler,
            memory.all_delivered,
            self._settings.traefik_class,
        )

    @staticmethod
    def _waiting_for_topics(pipeline: EventPipeline, memory: Memory) -> bool:
        """Topics once seen for this generation need not be seen again to keep workloads alive."""
        seen = (memory.status.get("topics") or {}).get("verifiedGeneration")
        unreachable = not memory.topics.verified and seen == pipeline.generation
        return not memory.topics.exist and not unreachable

    async def _publish(
        self,
        pipeline: EventPipeline,
        memory: Memory,
        status: Mapping[str, Any],
        news: Sequence[Condition],
    ) -> None:
        for condition in news:
            if condition.alarming:
                self._ports.metrics.failed(condition.reason)
        if status == memory.status:
            return
        changed = policy.changed(memory.status, news)
        await self._ports.status.write_status(pipeline, status)
        memory.status = status
        for condition in changed:
            log.info("condition", **{k: str(v) for k, v in vars(condition).items()})
            record_result(condition)
            await self._ports.status.emit_event(pipeline, condition)


def _understand(body: Mapping[str, Any]) -> tuple[EventPipeline, list[str]]:
    """The parsed object, or as much of it as can be named, with all complaints about it."""
    try:
        pipeline = parse(body)
    except Stalled as error:
        return identify(body), [error.message]
    return pipeline, validate(pipeline)


def _refusal(pipeline: EventPipeline, complaints: Sequence[str]) -> Condition | None:
    """Why no step runs, if none does."""
    if complaints:
        message = "; ".join(complaints)
        return Condition(ConditionType.READY, Status.FALSE, Reason.INVALID_SPEC, message)
    if pipeline.suspend:
        message = "spec.suspend is true: nothing is changed until it is set to false"
        return Condition(ConditionType.READY, Status.UNKNOWN, Reason.SUSPENDED, message)
    return None


def _outcome(problems: tuple[Problem, ...], *, leaving: bool) -> Outcome:
    fates = {p.fate for p in problems}
    if leaving or Fate.RETRY in fates:
        return Outcome.RETRY
    return Outcome.STALLED if Fate.STALL in fates else Outcome.DONE
