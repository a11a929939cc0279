"""Steps 3 and 4: migrations succeed, then workloads roll out; then what is left over goes."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass

from eventpipeline_operator.api.observed import (
    MigrationPhase,
    Problem,
    ServiceState,
    WorkloadsObservation,
)
from eventpipeline_operator.api.types import EventPipeline, Service
from eventpipeline_operator.desired.records import MigrationRecord, TrafficRecord, WorkloadRecord
from eventpipeline_operator.desired.routes import build_route, settle_route
from eventpipeline_operator.desired.traffic import build_traffic
from eventpipeline_operator.desired.workloads import Delivered, build_migration, build_workloads
from eventpipeline_operator.errors import ReconcileError
from eventpipeline_operator.reconcile.ports import Record, Runtime
from eventpipeline_operator.reconcile.scaling import Scaler


@dataclass(frozen=True)
class _Desired:
    """Records of one service."""

    service: Service
    migration: MigrationRecord | None
    workloads: tuple[WorkloadRecord, ...]
    traffic: Mapping[str, TrafficRecord]

    @property
    def migrating(self) -> list[Record]:
        return self._with_traffic([self.migration] if self.migration else [])

    @property
    def serving(self) -> list[Record]:
        return self._with_traffic(self.workloads)

    def _with_traffic(self, records: Sequence[MigrationRecord | WorkloadRecord]) -> list[Record]:
        allowed = [self.traffic[r.name] for r in records if r.name in self.traffic]
        return [*allowed, *records]


async def reconcile_workloads(
    pipeline: EventPipeline,
    runtime: Runtime,
    scaler: Scaler,
    delivered: Delivered,
    traefik_class: str,
) -> WorkloadsObservation:
    """Apply each service (its migration first), the route, and prune."""
    wanted = _build(pipeline, scaler, delivered)
    route, unsupported = settle_route(build_route(pipeline), traefik_class)
    services = await asyncio.gather(*(_reconcile_service(pipeline, runtime, w) for w in wanted))
    problems = [problem for _, problem in services]
    problems.append(unsupported)
    problems.append(await _attempt(runtime.apply(pipeline, [route] if route else [])))
    kept: list[Record] = [record for w in wanted for record in (*w.migrating, *w.serving)]
    kept += [*delivered.values(), *([route] if route else [])]
    problems.append(await _attempt(runtime.prune(pipeline, kept)))
    return WorkloadsObservation(
        desired=len(pipeline.services),
        evaluated=True,
        services=tuple(state for state, _ in services),
        problems=tuple(problem for problem in problems if problem),
        url=route.url if route else None,
    )


def _build(pipeline: EventPipeline, scaler: Scaler, delivered: Delivered) -> list[_Desired]:
    built = {s.name: build_workloads(pipeline, s, delivered) for s in pipeline.services}
    settled = scaler.settle(pipeline, [record for records in built.values() for record in records])
    by_name = {record.name: record for record in settled}
    traffic = build_traffic(pipeline)
    return [
        _Desired(
            service,
            build_migration(pipeline, service, delivered),
            tuple(by_name[record.name] for record in built[service.name]),
            traffic,
        )
        for service in pipeline.services
    ]


async def _reconcile_service(
    pipeline: EventPipeline, runtime: Runtime, wanted: _Desired
) -> tuple[ServiceState, Problem | None]:
    problem = await _attempt(_apply_service(pipeline, runtime, wanted))
    job = wanted.migration
    state = ServiceState(
        name=wanted.service.name,
        workloads=tuple(runtime.observe_workload(pipeline, r) for r in wanted.workloads),
        migration=runtime.observe_migration(pipeline, job) if job else None,
    )
    return state, problem


async def _apply_service(pipeline: EventPipeline, runtime: Runtime, wanted: _Desired) -> None:
    if wanted.migration:
        state = runtime.observe_migration(pipeline, wanted.migration)
        if state.phase is not MigrationPhase.SUCCEEDED:
            await runtime.apply(pipeline, wanted.migrating)
            return
    await runtime.apply(pipeline, wanted.serving)


async def _attempt(step: Awaitable[None]) -> Problem | None:
    try:
        await step
    except ReconcileError as error:
        return Problem.of(error)
    return None
