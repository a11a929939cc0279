"""The command line as a person uses it: a process, a kubeconfig, sometimes a terminal."""

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.waiting import wait_for

PROGRAM = Path(sys.executable).with_name("eventpipeline")


class CommandLine:
    """`eventpipeline` with one kubeconfig and one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str, **variables: str) -> None:
        own = {"KUBECONFIG": str(kubeconfig), "COLUMNS": "200"}
        self._environment = {**os.environ, **own, **variables}
        self._namespace = namespace

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One call, its output not a terminal."""
        return subprocess.run(
            [PROGRAM, command, *arguments, "-n", self._namespace],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def on_terminal(self, command: str, *arguments: str) -> Iterator["Terminal"]:
        """A call on a pseudo-terminal, which is ended when the test is done with it."""
        parent, child = pty.openpty()
        process = subprocess.Popen(
            [PROGRAM, command, *arguments, "-n", self._namespace],
            env=self._environment,
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
        )
        os.close(child)
        try:
            yield Terminal(parent, process)
        finally:
            process.kill()
            process.wait()
            os.close(parent)


class Terminal:
    """What a person would see and press."""

    def __init__(self, parent: int, process: subprocess.Popen[bytes]) -> None:
        self._parent = parent
        self._seen = b""
        self.process = process

    def wait_for(self, text: str) -> str:
        """Wait until the screen has shown a text since the last wait; what was seen until then."""

        def shown() -> bool:
            self._read()
            return text.encode() in self._seen

        wait_for(f"{text!r} on the screen", shown)
        seen, self._seen = self._seen.decode(errors="replace"), b""
        return seen

    def interrupt(self) -> int:
        """Press Ctrl-C; the exit code."""
        self.process.send_signal(2)
        return self.process.wait(10)

    def _read(self) -> None:
        while select.select([self._parent], [], [], 0)[0]:
            try:
                self._seen += os.read(self._parent, 65536)
            except OSError:  # the other end is closed
                return
