"""The processes of one workload: as many as are wanted, of the revision that is wanted."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress

import structlog

from eventpipeline_operator.adapters.local.launch import Launch
from eventpipeline_operator.adapters.local.replica import Name, Phase, Place, Replica
from eventpipeline_operator.adapters.local.rollout import Slot, plan_rollout
from eventpipeline_operator.api.observed import WorkloadState
from eventpipeline_operator.desired.records import WorkloadRecord

log = structlog.get_logger()


class Workload:
    """Starts, replaces and stops processes; tells of every change."""

    def __init__(self, name: str, pod: str, place: Place, changed: Callable[[], None]) -> None:
        self.name = name
        self._pod = pod
        self._place = place
        self._changed = changed
        self._numbers = itertools.count()
        self._replicas: list[Replica] = []
        self._leaving: dict[Replica, asyncio.Task[None]] = {}
        self._launch: Launch | None = None
        self._wanted = 0
        self._settling = False

    def __iter__(self) -> Iterator[Replica]:
        """Every process that is there, those that are leaving last."""
        yield from (*self._replicas, *self._leaving)

    def want(self, launch: Launch, replicas: int) -> bool:
        """Have so many processes of a revision; whether that is news."""
        before = self._launch.revision if self._launch else None
        news = (before, self._wanted) != (launch.revision, replicas)
        self._launch, self._wanted = launch, replicas
        self._settle()
        return news

    def observe(self, record: WorkloadRecord) -> WorkloadState:
        """How far it is, counted as a Deployment counts."""
        launch = self._launch
        if launch is None:
            return WorkloadState(record.name)
        new = [r for r in self._replicas if r.launch.revision == launch.revision]
        whole = not self._leaving and len(self._replicas) == len(new)
        scaled = record.scaling is not None
        return WorkloadState(
            name=record.name,
            wanted=self._wanted,
            updated=len(new),
            available=sum(r.phase is Phase.READY for r in self._replicas),
            current=whole and (scaled or len(new) == self._wanted),
            problem=next((r.problem for r in new if r.problem), None),
            exists=True,
            least=record.scaling.scale.min if record.scaling else None,
        )

    def used_secrets(self) -> set[str]:
        """Secrets that the wanted revision names or that some process still uses."""
        launches = [replica.launch for replica in self]
        if self._launch:
            launches.append(self._launch)
        return {name for launch in launches for name in launch.secrets}

    def backends(self) -> list[int]:
        """Ports of the processes that take requests."""
        return [r.port for r in self._replicas if r.phase is Phase.READY and r.port]

    async def stop(self) -> None:
        """End all of them; returns when nothing is left."""
        self._wanted = 0
        for replica in tuple(self._replicas):
            self._dismiss(replica)
        await asyncio.gather(*self._leaving.values(), return_exceptions=True)

    def _settle(self) -> None:
        if self._launch is None or self._settling:
            return
        self._settling = True  # a process that is started or stopped tells of its change at once
        try:
            while self._step(self._launch):
                pass
        finally:
            self._settling = False

    def _step(self, launch: Launch) -> bool:
        slots = [Slot(r.id, r.launch.revision, r.phase is Phase.READY) for r in self._replicas]
        steps = plan_rollout(self._wanted, launch.revision, slots)
        for _ in range(steps.start):
            self._replicas.append(Replica(self._name(), launch, self._place, self._on_change))
        for replica in [r for r in self._replicas if r.id in steps.stop]:
            self._dismiss(replica)
        return bool(steps.stop)

    def _name(self) -> Name:
        taken = {replica.ordinal for replica in self}
        ordinal = next(n for n in itertools.count() if n not in taken)
        return Name(self._pod, next(self._numbers), ordinal)

    def _dismiss(self, replica: Replica) -> None:
        self._replicas.remove(replica)
        task = asyncio.create_task(self._let_go(replica))
        self._leaving[replica] = task

    async def _let_go(self, replica: Replica) -> None:
        with suppress(ProcessLookupError):
            await replica.stop()
        del self._leaving[replica]
        log.info("process ended", pod=replica.pod)
        self._on_change()

    def _on_change(self) -> None:
        self._settle()
        self._changed()
