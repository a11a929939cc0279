"""Migrations as processes that run to their end; what has succeeded is remembered over restarts.

One that fails is tried again a few times, then it waits for a person: new code, another object.
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from eventpipeline_operator.adapters.local.files import read_json, write_private
from eventpipeline_operator.adapters.local.launch import Launch
from eventpipeline_operator.adapters.local.process import Process
from eventpipeline_operator.adapters.local.replica import Place
from eventpipeline_operator.api.observed import Fate, MigrationPhase, MigrationState, Problem
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Key

log = structlog.get_logger()

ATTEMPTS = 4
GRACE_SECONDS = 5.0
RUNNING = MigrationState(MigrationPhase.RUNNING)


@dataclass
class _Run:
    """The attempts at one revision."""

    revision: str
    launch: Launch
    state: MigrationState = RUNNING
    task: asyncio.Task[None] | None = None
    process: Process | None = None


@dataclass
class Migrations:
    """All migrations of all pipelines, by pipeline and workload name."""

    path: Path
    place: Place
    changed: Callable[[Key], None]
    _runs: dict[tuple[Key, str], _Run] = field(default_factory=dict)

    def observe(self, key: Key, name: str, revision: str) -> MigrationState:
        """How far one is."""
        run = self._runs.get((key, name))
        if run and run.revision == revision:
            return run.state
        if self._succeeded().get(_entry(key, name)) == revision:
            return MigrationState(MigrationPhase.SUCCEEDED)
        return MigrationState(MigrationPhase.ABSENT)

    async def start(self, key: Key, launch: Launch, revision: str, seconds: float) -> bool:
        """Run one unless that is done or under way; whether it was begun."""
        if self.observe(key, launch.name, revision).phase is not MigrationPhase.ABSENT:
            return False
        await self.end(key, launch.name)
        run = self._runs[key, launch.name] = _Run(revision, launch)
        run.task = asyncio.create_task(self._attempt(key, run, seconds))
        return True

    async def end(self, key: Key, name: str) -> None:
        """Stop one that runs."""
        run = self._runs.pop((key, name), None)
        if run is None or run.task is None:
            return
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)
        if run.process:
            await run.process.stop(GRACE_SECONDS)

    def states(self, key: Key) -> dict[str, MigrationState]:
        """Those of a pipeline that were begun, and how far they are."""
        return {name: run.state for (owner, name), run in self._runs.items() if owner == key}

    def names(self, key: Key) -> list[str]:
        """Those of a pipeline that were begun."""
        return [name for owner, name in self._runs if owner == key]

    def running(self, key: Key) -> list[Launch]:
        """Those of a pipeline that run now."""
        return [r.launch for (owner, _), r in self._runs.items() if owner == key and r.process]

    async def _attempt(self, key: Key, run: _Run, seconds: float) -> None:
        words = ""
        for attempt in range(ATTEMPTS):
            await asyncio.sleep(self.place.timing.pause(attempt) if attempt else 0)
            words = await self._run(run, seconds)
            if not words:
                self._note(key, run)
                self._turn(key, run, MigrationPhase.SUCCEEDED)
                return
            self._turn(key, run, MigrationPhase.RUNNING, self._problem(run, words, Fate.WAIT))
        self._turn(key, run, MigrationPhase.FAILED, self._problem(run, words, Fate.STALL))

    async def _run(self, run: _Run, seconds: float) -> str:
        """One attempt; why it failed, if it did."""
        launch = run.launch
        env = launch.environment(f"{launch.name}-{secrets.token_hex(3)}", None)
        try:
            run.process = await Process.start(launch.argv, env, launch.directory, self._log(launch))
            async with asyncio.timeout(seconds):
                code = await run.process.wait()
        except OSError as error:
            return f"cannot be started: {error.filename or launch.directory}: {error.strerror}"
        except TimeoutError:
            if run.process:
                await run.process.stop(GRACE_SECONDS)
            return f"does not end within {seconds:g} s"
        finally:
            if not asyncio.current_task().cancelling():  # type: ignore[union-attr]
                run.process = None
        return f"ends with exit code {code}" if code else ""

    def _turn(
        self, key: Key, run: _Run, phase: MigrationPhase, problem: Problem | None = None
    ) -> None:
        run.state = MigrationState(phase, problem)
        log.info("migration", name=run.launch.name, phase=str(phase))
        self.changed(key)

    def _problem(self, run: _Run, words: str, fate: Fate) -> Problem:
        return Problem(
            Reason.MIGRATION_FAILED if fate is Fate.STALL else Reason.MIGRATION_RUNNING,
            f"migration {run.launch.name} {words}: read {self._log(run.launch)}, and correct the "
            "cause",
            fate,
        )

    def _note(self, key: Key, run: _Run) -> None:
        known = {**self._succeeded(), _entry(key, run.launch.name): run.revision}
        write_private(self.path, json.dumps(known, indent=1))

    def _succeeded(self) -> dict[str, str]:
        return read_json(self.path)

    def _log(self, launch: Launch) -> Path:
        return self.place.logs / f"{launch.name}.log"


def _entry(key: Key, name: str) -> str:
    return f"{key.namespace}.{key.name}.{name}"
