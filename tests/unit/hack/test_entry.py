import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from provision.commands import ProvisionError, run_logged
from provision.entry import run_script

HACK = Path(__file__).resolve().parents[3] / "hack"


def test_a_known_error_is_one_line_and_status_1() -> None:
    def fail() -> int:
        raise ProvisionError("do this")

    assert run_script(fail) == 1


def test_a_failed_command_shows_the_end_of_its_output(tmp_path: Path) -> None:
    with pytest.raises(ProvisionError, match="the reason"):
        run_logged(["sh", "-c", "echo the reason; exit 3"], tmp_path / "log")


def test_a_terminated_script_ends_what_it_started(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    os.mkfifo(pid_file)
    script = (
        "import pathlib, sys\n"
        "from provision.commands import run_logged\n"
        "from provision.entry import run_script\n"
        "from provision.steps import Runner, Step\n"
        f"build = ['sh', '-c', 'echo $$ > {pid_file}; exec sleep 600']\n"
        f"run = lambda: run_logged(build, pathlib.Path({str(tmp_path / 'log')!r}))\n"
        "body = lambda: Runner().run([Step('build', run)])\n"
        "sys.exit(run_script(body))\n"
    )
    running = subprocess.Popen([sys.executable, "-c", script], cwd=HACK)
    child = int(pid_file.read_text())
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=10) == 130
    gone = subprocess.run(
        ["timeout", "10", "tail", f"--pid={child}", "-f", "/dev/null"], check=False
    )
    assert gone.returncode == 0
