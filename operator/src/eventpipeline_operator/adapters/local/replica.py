"""One process of a workload over time: started, asked for its health, started anew, stopped."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import aiohttp

from eventpipeline_operator.adapters.local.launch import Launch
from eventpipeline_operator.adapters.local.ports import Ports
from eventpipeline_operator.adapters.local.probing import Probing
from eventpipeline_operator.adapters.local.process import Process
from eventpipeline_operator.api.observed import Problem
from eventpipeline_operator.api.reasons import Reason


class Phase(StrEnum):
    """Where a process is in its life."""

    STARTING = "starting"
    READY = "ready"
    UNREADY = "not ready"
    BACKING_OFF = "crashed"
    STOPPING = "stopping"


@dataclass(frozen=True)
class Timing:
    """How often is asked, how long is waited, in seconds; failures as the kubelet counts them."""

    startup: float = 0.25
    liveness: float = 10.0
    readiness: float = 2.0
    answer: float = 4.0
    failures: int = 3
    pauses: tuple[float, ...] = (0.5, 1, 2, 5, 10, 20, 30)
    steady: float = 60.0
    patience: float = 30.0

    def pause(self, failures: int) -> float:
        """How long to wait after so many failures."""
        return self.pauses[min(failures, len(self.pauses)) - 1]


@dataclass(frozen=True)
class Place:
    """What the processes of all workloads share."""

    logs: Path
    ports: Ports
    session: aiohttp.ClientSession
    timing: Timing = Timing()


@dataclass(frozen=True)
class Name:
    """Of which workload it is, the how many-eth in time, and in which place among its likes."""

    workload: str
    number: int
    ordinal: int


class Replica:
    """One process, and the next one in its place when it ends by itself."""

    def __init__(
        self, name: Name, launch: Launch, place: Place, changed: Callable[[], None]
    ) -> None:
        self.id = name.number
        self.ordinal = name.ordinal
        self.launch = launch
        self.pod = f"{name.workload}-{secrets.token_hex(3)}"
        self.phase = Phase.STARTING
        self.port: int | None = None
        self.restarts = 0
        self.problem: Problem | None = None
        self._place = place
        self._changed = changed
        self._process: Process | None = None
        self._starting: asyncio.Task[Process] | None = None
        self._life = asyncio.create_task(self._live())

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> Path:
        """Where it writes."""
        return self._place.logs / f"{self.launch.name}-{self.ordinal}.log"

    async def stop(self) -> None:
        """Ask it to end within its drain time; returns when nothing of it is left."""
        self._turn(Phase.STOPPING)
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)
        if self._starting:
            with suppress(OSError):
                self._process = await self._starting
        if self._process:
            await self._process.stop(self.launch.drain_seconds)
        self._process = None

    async def _live(self) -> None:
        loop, crashes = asyncio.get_running_loop(), 0
        while True:
            began = loop.time()
            end = await self._live_once()
            crashes = 1 if loop.time() - began > self._place.timing.steady else crashes + 1
            self._process = None
            self._turn(Phase.BACKING_OFF, _crashing(self, end))
            await asyncio.sleep(self._place.timing.pause(crashes))
            self.restarts += 1
            self._turn(Phase.STARTING, self.problem)

    async def _live_once(self) -> str:
        """Start it and stay with it to its end; in which words that came about."""
        launch = self.launch
        self.port = self._place.ports.choose() if launch.port_variable else None
        env = launch.environment(self.pod, self.port)
        self._starting = asyncio.create_task(
            Process.start(launch.argv, env, launch.directory, self.log)
        )
        try:
            self._process = process = await asyncio.shield(self._starting)
        except OSError as error:
            return f"cannot be started: {error.filename or launch.directory}: {error.strerror}"
        finally:
            if self._starting.done():
                self._starting = None
        self._changed()
        probing = Probing(launch.probes, launch.probe_port(self.port), env, launch.directory)
        ended = asyncio.create_task(process.wait())
        asked = asyncio.create_task(self._ask(probing))
        try:
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                return f"ends with exit code {ended.result()}"
            words = asked.result()
            await process.stop(launch.drain_seconds)
            return words
        finally:
            ended.cancel()
            asked.cancel()

    async def _ask(self, probing: Probing) -> str:
        """Ask for its health until that says to start it anew."""
        if not probing.asked:
            self._turn(Phase.READY)
            await asyncio.Event().wait()
        words = await self._await_startup(probing)
        if words:
            return f"does not come up within {probing.probes.startup_seconds} s: {words}"
        readiness = asyncio.create_task(self._follow_readiness(probing))
        try:
            return await self._follow_liveness(probing)
        finally:
            readiness.cancel()

    async def _await_startup(self, probing: Probing) -> str | None:
        timing, session = self._place.timing, self._place.session
        words: str | None = "not asked"
        with suppress(TimeoutError):
            async with asyncio.timeout(probing.probes.startup_seconds):
                while words := await probing.live(session, timing.answer):  # noqa: ASYNC110
                    await asyncio.sleep(timing.startup)
        return words

    async def _follow_liveness(self, probing: Probing) -> str:
        timing, failures = self._place.timing, 0
        while True:
            await asyncio.sleep(timing.liveness)
            words = await probing.live(self._place.session, timing.answer)
            failures = failures + 1 if words else 0
            if failures >= timing.failures:
                return f"is not alive: {words}"

    async def _follow_readiness(self, probing: Probing) -> None:
        """A process that has never been ready is given time: it may wait for others."""
        timing, failures = self._place.timing, 0
        loop = asyncio.get_running_loop()
        patient_until = loop.time() + timing.patience
        while True:
            words = await probing.ready(self._place.session, timing.answer)
            failures = failures + 1 if words else 0
            starting = self.phase is Phase.STARTING and loop.time() < patient_until
            if not words:
                self._turn(Phase.READY)
            elif failures >= timing.failures and not starting:
                self._turn(Phase.UNREADY, _unready(self, words))
            await asyncio.sleep(timing.startup if starting else timing.readiness)

    def _turn(self, phase: Phase, problem: Problem | None = None) -> None:
        if (phase, problem) != (self.phase, self.problem):
            self.phase, self.problem = phase, problem
            self._changed()


def _crashing(replica: Replica, end: str) -> Problem:
    return Problem(Reason.CONTAINER_CRASHING, f"process {replica.pod} {end}: read {replica.log}")


def _unready(replica: Replica, words: str) -> Problem:
    return Problem(
        Reason.ROLLOUT_STUCK, f"process {replica.pod} is not ready: {words}: read {replica.log}"
    )
