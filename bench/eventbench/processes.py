"""Child processes that are sure to end, and what they use."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 15.0


class Child:
    """One command in a process group of its own; its output goes to a file."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.log = log
        # Should this process be killed, the kernel ends the child in its place.
        guard = shutil.which("setpriv")
        prefix = [guard, "--pdeathsig", "TERM"] if guard else []
        self.started_at = time.monotonic()
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # our own commands
                [*prefix, *command],
                env=dict(environ),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The first process of the group."""
        return self._process.pid

    def ended(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> int:
        """The exit code of a command that ends by itself."""
        return self._process.wait(seconds)

    def ask_to_stop(self) -> None:
        """SIGTERM; several children stop at the same time when all are asked first."""
        if self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """Politely first, then for certain, its own children included."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_SECONDS)
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._process.wait()


@dataclass(frozen=True)
class Usage:
    """What a process and everything below it uses: CPU since its start, memory now."""

    processes: int
    cpu_seconds: float
    pss_kib: int


def observe_usage(pid: int, *, memory: bool = True) -> Usage:
    """Sums over the process tree; ended children are in their parent's CPU time."""
    count, ticks, pss = 0, 0, 0
    for member in descendants(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])
            count += 1
            pss += _pss_kib(member) if memory else 0
        except (FileNotFoundError, ProcessLookupError):
            continue
    return Usage(count, ticks / _TICKS, pss)


def descendants(pid: int) -> Iterator[int]:
    """A process and everything below it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in children:
            yield from descendants(int(child))


def _pss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
