"""The Runtime port on this machine: records become processes, files and routes."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from eventpipeline_operator.adapters.local.devfile import Program
from eventpipeline_operator.adapters.local.entry import Entry
from eventpipeline_operator.adapters.local.images import Images
from eventpipeline_operator.adapters.local.launch import (
    Launch,
    build_launch,
    secret_name,
    service_addresses,
)
from eventpipeline_operator.adapters.local.migrations import Migrations
from eventpipeline_operator.adapters.local.replica import Place, Replica
from eventpipeline_operator.adapters.local.secrets import SecretFiles
from eventpipeline_operator.adapters.local.workload import Workload
from eventpipeline_operator.api import names
from eventpipeline_operator.api.observed import (
    Fate,
    MigrationPhase,
    MigrationState,
    Problem,
    WorkloadState,
)
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.desired.records import (
    MigrationRecord,
    RouteRecord,
    SecretRecord,
    SecretReference,
    WorkloadRecord,
)
from eventpipeline_operator.reconcile.ports import Record
from eventpipeline_operator.reconcile.recording import record_call

log = structlog.get_logger()


@dataclass
class _Children:
    """What runs for one pipeline."""

    workloads: dict[str, Workload] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    leaving: set[asyncio.Task[None]] = field(default_factory=set)
    gone: list[Workload] = field(default_factory=list)


@dataclass(frozen=True)
class Parts:
    """What the runtime is made of."""

    place: Place
    images: Images
    secrets: SecretFiles
    migrations: Migrations
    entry: Entry
    environ: Mapping[str, str]
    changed: Callable[[Key], None]


class LocalRuntime:
    """Applies, prunes and observes what runs here for pipelines."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        parts.entry.reach(self.backends)
        self._children: dict[Key, _Children] = {}

    async def apply(self, pipeline: EventPipeline, records: Sequence[Record]) -> None:
        """Make the records true."""
        for record in records:
            match record:
                case SecretRecord():
                    self._deliver(pipeline.key, record)
                case WorkloadRecord():
                    await self._run(pipeline, record)
                case MigrationRecord():
                    await self._migrate(pipeline, record)
                case RouteRecord():
                    self._parts.entry.route(pipeline.key, record)

    async def prune(self, pipeline: EventPipeline, records: Sequence[Record]) -> None:
        """End what no record names; delivered secrets stay while a process uses them."""
        key, children = pipeline.key, self._of(pipeline.key)
        wanted = {r.name for r in records if isinstance(r, WorkloadRecord)}
        for name in set(children.workloads) - wanted:
            self._dismiss(children, name)
        for name in set(children.missing) - wanted - _migrations(records):
            del children.missing[name]
        for name in set(self._parts.migrations.names(key)) - _migrations(records):
            await self._parts.migrations.end(key, name)
        if not any(isinstance(r, RouteRecord) for r in records):
            self._parts.entry.forget(key)
        kept = {secret_name(key, r) for r in records if isinstance(r, SecretReference)}
        for name in self._parts.secrets.prune(key, kept | self._used(key)):
            record_call("delete", f"secret {name}", "deleted")

    def observe_workload(self, pipeline: EventPipeline, record: WorkloadRecord) -> WorkloadState:
        """How far its processes are, or that nothing is known to stand for its image."""
        children = self._of(pipeline.key)
        if record.name in children.missing:
            problem = _missing(record.name, children.missing[record.name])
            return WorkloadState(record.name, wanted=1, problem=problem)
        workload = children.workloads.get(record.name)
        return workload.observe(record) if workload else WorkloadState(record.name)

    def observe_migration(self, pipeline: EventPipeline, record: MigrationRecord) -> MigrationState:
        """How far a migration is, of the code as it is now."""
        if self._parts.images.find(record.workload.image) is None:
            problem = _missing(record.name, record.workload.image)
            return MigrationState(MigrationPhase.FAILED, problem)
        return self._parts.migrations.observe(pipeline.key, record.name, self._revision(record))

    def observe_secret(
        self, pipeline: EventPipeline, wanted: SecretReference, source: str
    ) -> SecretReference | None:
        """The last delivery of an entry that came from the same source."""
        return self._parts.secrets.latest(pipeline, wanted, source)

    def holds_workloads(self, pipeline: EventPipeline) -> bool:
        """Whether a process is left."""
        children = self._of(pipeline.key)
        return bool(children.workloads or children.leaving)

    def holds_secret(self, pipeline: EventPipeline, reference: SecretReference) -> bool:
        """Whether a delivery is there."""
        return self._parts.secrets.holds(pipeline.key, self.secret_name(pipeline, reference))

    def holds_superseded(
        self, pipeline: EventPipeline, entry: str, reference: SecretReference | None
    ) -> bool:
        """Whether another delivery of the entry is there: pruning leaves those in use."""
        name = self.secret_name(pipeline, reference) if reference else None
        return any(note.name != name for note in self._parts.secrets.of(pipeline.key, entry))

    def secret_name(self, pipeline: EventPipeline, reference: SecretReference) -> str:
        """Name of a delivery."""
        return secret_name(pipeline.key, reference)

    def processes(self, key: Key) -> Iterator[tuple[str, Replica]]:
        """Every process of a pipeline with its workload's name; those that are leaving last."""
        children = self._of(key)
        for workload in (*children.workloads.values(), *children.gone):
            yield from ((workload.name, replica) for replica in workload)

    def backends(self, key: Key, service: str) -> list[int]:
        """Ports of a service's processes that take requests."""
        workload = self._of(key).workloads.get(names.workload_name(service, None))
        return workload.backends() if workload else []

    async def remove(self, key: Key) -> None:
        """The object is gone: everything of it ends."""
        children = self._of(key)
        self._parts.entry.forget(key)
        for name in self._parts.migrations.names(key):
            await self._parts.migrations.end(key, name)
        for name in tuple(children.workloads):
            self._dismiss(children, name)
        await asyncio.gather(*children.leaving, return_exceptions=True)

    def forget(self, key: Key) -> None:
        """Nothing of the object is used any more: its secrets go too."""
        self._parts.secrets.prune(key, ())
        self._children.pop(key, None)

    async def stop(self) -> None:
        """End every process; what is kept in files stays."""
        await asyncio.gather(*(self.remove(key) for key in tuple(self._children)))

    def _deliver(self, key: Key, record: SecretRecord) -> None:
        if self._parts.secrets.deliver(key, record):
            record_call("apply", f"secret {secret_name(key, record.reference)}", "created")

    async def _run(self, pipeline: EventPipeline, record: WorkloadRecord) -> None:
        key, children = pipeline.key, self._of(pipeline.key)
        program = self._parts.images.find(record.image)
        if program is None:
            children.missing[record.name] = record.image
            return
        children.missing.pop(record.name, None)
        launch = await self._launch(pipeline, record, program)
        workload = children.workloads.get(record.name)
        if workload is None:
            workload = Workload(
                record.name,
                names.object_name(key, record.name),
                self._parts.place,
                lambda: self._parts.changed(key),
            )
            children.workloads[record.name] = workload
        replicas = 1 if record.replicas is None else record.replicas
        if workload.want(launch, replicas):
            log.info("running", workload=record.name, revision=launch.revision, replicas=replicas)
            record_call("run", record.name, f"revision {launch.revision}, {replicas} wanted")

    async def _migrate(self, pipeline: EventPipeline, record: MigrationRecord) -> None:
        program = self._parts.images.find(record.workload.image)
        if program is None:
            return
        launch = await self._launch(pipeline, record.workload, program)
        begun = await self._parts.migrations.start(
            pipeline.key, launch, self._revision(record), record.timeout_seconds
        )
        if begun:
            record_call("run", record.name, "begun")

    async def _launch(
        self, pipeline: EventPipeline, record: WorkloadRecord, program: Program
    ) -> Launch:
        parts, key = self._parts, pipeline.key
        ports = {s.name: await parts.entry.expose(key, s.name) for s in pipeline.services if s.port}
        return build_launch(
            key,
            record,
            replace(program, environment={**parts.environ, **program.environment}),
            tuple(parts.secrets.read(key, reference) for reference in record.secrets),
            parts.images.stamp(record.image),
            service_addresses(pipeline, ports.__getitem__),
        )

    def _revision(self, record: MigrationRecord) -> str:
        return f"{record.revision}-{self._parts.images.stamp(record.workload.image)}"

    def _dismiss(self, children: _Children, name: str) -> None:
        workload = children.workloads.pop(name)
        children.gone.append(workload)

        async def let_go() -> None:
            await workload.stop()
            children.gone.remove(workload)

        task = asyncio.create_task(let_go())
        children.leaving.add(task)
        task.add_done_callback(children.leaving.discard)
        record_call("stop", name, "drained and stopped")

    def _used(self, key: Key) -> set[str]:
        children = self._of(key)
        used = {
            launch_name
            for run in self._parts.migrations.running(key)
            for launch_name in run.secrets
        }
        for workload in (*children.workloads.values(), *children.gone):
            used |= workload.used_secrets()
        return used

    def _of(self, key: Key) -> _Children:
        return self._children.setdefault(key, _Children())


def _migrations(records: Sequence[Record]) -> set[str]:
    return {r.name for r in records if isinstance(r, MigrationRecord)}


def _missing(workload: str, image: str) -> Problem:
    return Problem(
        Reason.IMAGE_PULL_FAILED,
        f"{workload}: nothing stands for image {image} here: name its directory and command under "
        "images in dev.yaml",
        Fate.STALL,
    )
