"""Replicas of workers that are scaled by lag: looked at on a timer, applied by passes.

A pass only asks what was decided last and says which groups to look at. A look asks the brokers
once for all groups of all pipelines, policies/scaling.py decides, and an object whose numbers
changed is given a pass.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from eventpipeline_operator.api.offsets import GroupOffsets
from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.desired.records import ScalingRecord, WorkloadRecord
from eventpipeline_operator.policies.scaling import Scaling, evaluate_scaling, hold
from eventpipeline_operator.reconcile.kafka_ports import Lags
from eventpipeline_operator.reconcile.ports import Runtime
from eventpipeline_operator.reconcile.recording import record_call

log = structlog.get_logger()


@dataclass
class _Worker:
    """A worker that is looked at."""

    pipeline: EventPipeline
    record: WorkloadRecord
    group: ScalingRecord
    state: Scaling
    known: bool = True
    news: str = ""


class Scaler:
    """The scaled workers of all pipelines."""

    def __init__(
        self, lags: Lags, runtime: Runtime, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lags = lags
        self._runtime = runtime
        self._clock = clock
        self._workers: dict[str, dict[str, _Worker]] = {}

    def settle(
        self, pipeline: EventPipeline, records: Sequence[WorkloadRecord]
    ) -> tuple[WorkloadRecord, ...]:
        """The records with the numbers last decided; they are looked at from now on."""
        before = self._workers.pop(pipeline.uid, {})
        workers = {
            record.name: self._taken(pipeline, record, record.scaling, before.get(record.name))
            for record in records
            if record.scaling
        }
        for name, worker in workers.items():
            if worker.news:
                record_call("scale", name, worker.news)
                worker.news = ""
        if workers:
            self._workers[pipeline.uid] = workers
        return tuple(
            replace(record, replicas=workers[record.name].state.replicas)
            if record.name in workers
            else record
            for record in records
        )

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._workers.pop(uid, None)

    async def run(self, seconds: float, wake: Callable[[Key], None]) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.look(wake)
            except Exception:  # the one broad handler of this loop: log, then look again
                log.exception("look at lag failed")

    async def look(self, wake: Callable[[Key], None]) -> None:
        """Ask once for all groups, decide, and wake the objects whose numbers changed."""
        asked = [w for workers in self._workers.values() for w in workers.values()]
        if not asked:
            return
        seen = await self._lags.observe({w.group for w in asked})
        for worker in [w for workers in self._workers.values() for w in workers.values()]:
            if self._evaluate(worker, seen.get(worker.group)):
                wake(worker.pipeline.key)

    def _taken(
        self,
        pipeline: EventPipeline,
        record: WorkloadRecord,
        group: ScalingRecord,
        before: _Worker | None,
    ) -> _Worker:
        if before is None or before.group.group != group.group:
            live = self._runtime.observe_workload(pipeline, record)
            # After a restart what runs is the last decision.
            start = live.wanted if live.exists else group.scale.min
            state = Scaling(start, partitions=group.partitions)
            return _Worker(pipeline, record, group, hold(group.scale, state))
        if before.group.scale == group.scale:
            return replace(before, pipeline=pipeline, record=record, group=group)
        state = hold(group.scale, before.state)
        return replace(before, pipeline=pipeline, record=record, group=group, state=state)

    def _evaluate(self, worker: _Worker, offsets: GroupOffsets | None) -> bool:
        running = self._runtime.observe_workload(worker.pipeline, worker.record).available
        before, scale = worker.state, worker.group.scale
        worker.state = evaluate_scaling(scale, before, offsets, running, self._clock())
        known, worker.known = worker.known, offsets is not None
        subject = {"pipeline": str(worker.pipeline.key), "worker": worker.record.name}
        if known and not worker.known:
            log.warning("lag not known, replicas stay", replicas=before.replicas, **subject)
        if worker.state.replicas == before.replicas:
            return False
        lag = offsets.lag if offsets else None
        log.info("scaling", **subject, was=before.replicas, to=worker.state.replicas, lag=lag)
        worker.news = f"{before.replicas} → {worker.state.replicas}, lag {lag}"
        return True
