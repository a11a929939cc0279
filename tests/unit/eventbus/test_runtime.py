"""A worker process: what ends it, and that it does end."""

import json
import subprocess
import sys
from typing import Any

_WORKER = """
import sys, threading
from eventbus import logs
from eventbus.runtime import Worker

def fails(stop, heartbeat):
    raise ValueError("as ordered")

def hears(stop, heartbeat):
    stop.wait()

def never_ends(stop, heartbeat):
    stop.wait()
    threading.Event().wait()

logs.configure("info")
loops = {name: globals()[name] for name in sys.argv[1:]}
sys.exit(Worker(loops, leave_seconds=0.2).run())
"""


def run_worker(*loops: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and log lines of a process that runs these loops."""
    ended = subprocess.run(
        [sys.executable, "-c", _WORKER, *loops], capture_output=True, timeout=60, check=False
    )
    return ended.returncode, [json.loads(line) for line in ended.stdout.splitlines()]


def test_a_loop_that_fails_ends_its_process() -> None:
    code, lines = run_worker("fails", "hears")
    assert code == 1
    assert [line["loop"] for line in lines if line["event"] == "worker.crashed"] == ["fails"]
    assert lines[-1]["event"] == "worker.stopped"


def test_a_loop_that_does_not_come_back_is_left_behind_and_named() -> None:
    code, lines = run_worker("fails", "hears", "never_ends")
    assert code == 1
    assert lines[-1]["event"] == "worker.abandoned"
    assert lines[-1]["loop"] == "never_ends"
    assert "in never_ends" in lines[-1]["where"]
