"""A server as a child process: a log file, a deadline to answer, a sure end."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from eventpipeline_operator.adapters.local.backing.errors import NotStarted

TETHER = Path(__file__).with_name("tether.py")
PAUSE_SECONDS = 0.1
Answers = Callable[[], Awaitable[bool]]


class ServerProcess:
    """One server; it gets a process group of its own and dies with us, however we die.

    Start it from a thread that lives as long as the server shall: to the kernel that is the parent.
    """

    def __init__(
        self,
        name: str,
        log: Path,
        *,
        user: str = "",
        polite: signal.Signals = signal.SIGTERM,
        orphaned: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.log = log
        self._user = user
        self._polite = polite
        self._orphaned = orphaned
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, None while it does not run."""
        return self._process.pid if self._process and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended by itself."""
        return self._process is not None and self._process.returncode is None

    async def start(
        self, command: Sequence[str | Path], env: Mapping[str, str] | None = None
    ) -> None:
        """Start the program; whether it answers is another question."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.touch(mode=0o600)
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", TETHER),
                *(str(os.getpid()), str(int(self._orphaned)), self._user),
                *command,
                stdin=DEVNULL,
                stdout=log,
                stderr=log,
                env=env,
                start_new_session=True,
            )

    async def wait(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return await self._process.wait() if self._process else 0

    async def wait_until(self, answers: Answers, seconds: float) -> None:
        """Wait for the first answer; a server that gives none in time is ended."""
        deadline = time.monotonic() + seconds
        while not await answers():
            if not self.is_running:
                raise NotStarted(self.name, "has ended", self.log)
            if time.monotonic() > deadline:
                await self.stop(0)
                raise NotStarted(self.name, f"did not answer within {seconds:g} s", self.log)
            await asyncio.sleep(PAUSE_SECONDS)

    async def stop(self, seconds: float = 10.0) -> None:
        """End it: politely first, then for certain, and whatever it has left in its group."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(self._polite)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        self._process = None


class BackingServer:
    """What every server here has in common: one process, its log, its end."""

    stop_seconds: float

    def __init__(self, process: ServerProcess) -> None:
        self._process = process

    @property
    def log(self) -> Path:
        """Where it writes what it has to say."""
        return self._process.log

    @property
    def pid(self) -> int | None:
        """Its process id, None while it does not run."""
        return self._process.pid

    async def stop(self) -> None:
        """Stop it; what it holds stays."""
        await self._process.stop(self.stop_seconds)


async def run_program(
    command: Sequence[str | Path],
    log: Path,
    *,
    user: str = "",
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a program to its end, its output in a log; raises when it fails."""
    program = ServerProcess(Path(command[0]).name, log, user=user)
    await program.start(command, env)
    if await program.wait() != 0:
        raise NotStarted(program.name, "has failed", log)
