"""Runs other programs: output into a log, and a failure that shows the end of it."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Arguments = Sequence[str | Path]
_children: set[subprocess.Popen[bytes]] = set()
# A child is known as soon as it exists, so that none escapes stop_children.
_starting = threading.Lock()


class ProvisionError(Exception):
    """Something a person must know; the message says what to do."""


def run_logged(
    command: Arguments,
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stoppable: bool = True,
) -> None:
    """Runs `command` with all its output in `log`.

    One that is not stoppable runs to its end even when this program is interrupted.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        output.write(("$ " + " ".join(str(part) for part in command) + "\n").encode())
        output.flush()
        with _starting:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
            if stoppable:
                _children.add(child)
        status = child.wait()
        with _starting:
            _children.discard(child)
    if status != 0:
        raise ProvisionError(
            f"`{command[0]}` ended with {status}; the end of {log}:\n{tail(log, 25)}"
        )


def stop_children() -> None:
    """Ends the builds under way, with everything that they started."""
    with _starting:
        for child in _children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)


def capture(command: Arguments, *, env: Mapping[str, str] | None = None) -> str:
    """The standard output of a command that must succeed."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
        check=False,
    )
    if done.returncode != 0:
        shown = " ".join(str(part) for part in command)
        raise ProvisionError(f"`{shown}` ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def succeeds(command: Arguments, *, timeout: float | None = None) -> bool:
    """Whether the command ends with 0; one that is not there or hangs does not."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def comes_true(condition: Callable[[], bool], seconds: float, pause: float = 0.5) -> bool:
    """Whether `condition` holds within `seconds`; asked at least once, then after each `pause`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def tail(log: Path, lines: int) -> str:
    """The last lines of a log, indented."""
    if not log.exists():
        return "  (empty)"
    text = log.read_text(errors="replace").replace("\r", "\n").splitlines()
    return "\n".join("  | " + line for line in text[-lines:])


def last_line(log: Path) -> str:
    """What a log says now, short: the sign of life of a long build."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 600))
            lines = file.read().decode(errors="replace").replace("\r", "\n").split("\n")
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][-60:] if said else ""
