"""The processes of the three services, started anew when they end, as kubelet would."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.layout import ROLES, Role, Site, build_command, build_environment
from faults.report import say

_RESTART_SECONDS = 0.3


@dataclass(frozen=True)
class Exit:
    """A process that ended while the fleet was up."""

    time: float
    name: str
    pid: int
    code: int


class _Instance:
    """One replica of a role."""

    def __init__(self, role: Role, number: int, site: Site) -> None:
        self.role = role
        self.name = f"{role.name}-{number}"
        self._environment = build_environment(role, site, self.name)
        self._log = site.directory / "logs" / f"{self.name}.log"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        guard = shutil.which("setpriv")  # should the run be killed, the kernel ends its children
        prefix = [guard, "--pdeathsig", "KILL"] if guard else []
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*prefix, *build_command(self.role)],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def restart(self) -> None:
        """Begin a new life; what is left of the old one goes."""
        self.end()
        self.process = self._start()

    def end(self) -> None:
        """Kill the whole process group, frozen members included."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Fleet:
    """All processes; a thread watches over them. Must be made and closed by one thread."""

    def __init__(self, site: Site, roles: Sequence[Role] = ROLES) -> None:
        (site.directory / "logs").mkdir(exist_ok=True)
        self._instances = [
            _Instance(role, number, site) for role in roles for number in range(role.replicas)
        ]
        self.exits: list[Exit] = []
        self._ordered: set[int] = set()
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="fleet", daemon=True)
        self._watcher.start()

    def pids(self, role: str) -> list[int]:
        """The first process of every replica of a role."""
        return [item.process.pid for item in self._instances if item.role.name == role]

    def kill(self, pid: int) -> bool:
        """SIGKILL by order; the watcher starts a successor. False if it had ended already."""
        self.expect(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def expect(self, pid: int) -> None:
        """The end of this process was ordered and needs no explanation."""
        self._ordered.add(pid)

    def unordered(self) -> list[Exit]:
        """Processes that ended although no fault was aimed at them."""
        return [item for item in self.exits if item.pid not in self._ordered]

    def ask_where(self) -> None:
        """Have every worker write its stacks into its log; says whose process stands still."""
        for instance in self._instances:
            pid = instance.process.pid
            if instance.role.worker == "api" or instance.process.poll() is not None:
                continue
            if _state(pid) == "T":
                say(f"{instance.name} (pid {pid}) is stopped by a signal")
            os.kill(pid, signal.SIGUSR2)

    def close(self) -> None:
        """End everything, for certain."""
        self._stop.set()
        self._watcher.join()
        for instance in self._instances:
            if instance.process.poll() is None:
                instance.process.terminate()
        deadline = time.monotonic() + 10
        for instance in self._instances:
            with contextlib.suppress(subprocess.TimeoutExpired):
                instance.process.wait(max(0.1, deadline - time.monotonic()))
            instance.end()

    def _watch(self) -> None:
        while not self._stop.wait(_RESTART_SECONDS):
            for instance in self._instances:
                code = instance.process.poll()
                if code is not None:
                    pid = instance.process.pid
                    self.exits.append(Exit(time.time(), instance.name, pid, code))
                    instance.restart()


def _state(pid: int) -> str:
    """One letter, as `ps` shows it (proc(5)); empty where it cannot be read."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""
