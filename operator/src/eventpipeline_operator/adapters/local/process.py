"""One process of the operating system, with the group that it leads and the log that it writes.

Its group is its own, so that a Ctrl-C in the terminal is ours to pass on and that whatever it
started ends with it; it dies with us even when we are killed (backing/tether.py).
"""

import asyncio
import errno
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from eventpipeline_operator.adapters.local.backing.process import TETHER

DEATH, SAME_USER = str(int(signal.SIGKILL)), ""
LOG_BYTES = 5 * 1024 * 1024


class Process:
    """A running process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    @classmethod
    async def start(
        cls, argv: Sequence[str], env: Mapping[str, str], directory: Path, log: Path
    ) -> "Process":
        """Start a program; OSError when there is none of that name, or no such directory."""
        program = find_program(argv[0], env, directory)
        rotate(log)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", TETHER, str(os.getpid()), DEATH, SAME_USER),
                *(program, *argv[1:]),
                env=dict(env),
                cwd=directory,
                start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        return cls(process)

    async def wait(self) -> int:
        """Its exit code, as a shell gives it; what is left of its group goes too."""
        code = await self._process.wait()
        self._signal(signal.SIGKILL)
        return code if code >= 0 else 128 - code

    async def stop(self, grace_seconds: float) -> int:
        """Ask it to end, and make it after a while."""
        if self._process.returncode is None:
            self._signal(signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                return await self.wait()
        self._signal(signal.SIGKILL)
        return await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def find_program(name: str, env: Mapping[str, str], directory: Path) -> str:
    """The file of a program: a path from its directory on, or a name to look for in PATH."""
    if "/" in name:
        file = os.path.normpath(directory / name)  # links stay: an environment's Python is one
        found = file if os.access(file, os.X_OK) else None
    else:
        found = shutil.which(name, path=env.get("PATH", os.defpath))
    if found is None:
        raise FileNotFoundError(errno.ENOENT, "no such program", name)
    return found


def rotate(log: Path) -> None:
    """A log that has grown large begins anew; the one before is kept."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
