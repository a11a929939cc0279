"""Children that stand for servers: their end, and what is said when they do not come up."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from eventpipeline_operator.adapters.local.backing.errors import NotStarted
from eventpipeline_operator.adapters.local.backing.housing import house, is_passable
from eventpipeline_operator.adapters.local.backing.ports import choose_port
from eventpipeline_operator.adapters.local.backing.process import ServerProcess, run_program
from servers.waiting import wait_for

ORPHANS = """
import asyncio, os, signal, sys
from pathlib import Path
from eventpipeline_operator.adapters.local.backing.process import ServerProcess

async def main():
    server = ServerProcess("Sleeper", Path(sys.argv[1]))
    await server.start(["/bin/sleep", "600"])
    await server.wait_until(lambda: asyncio.sleep(0, result=True), 1)
    print(server.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def yes() -> bool:
    return True


async def no() -> bool:
    return False


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_a_server_that_ends_at_once_is_told_of_with_its_last_words(tmp_path: Path) -> None:
    server = ServerProcess("Sayer", tmp_path / "sayer.log")
    await server.start(["/bin/sh", "-c", "echo the port is taken; exit 3"])
    with pytest.raises(NotStarted, match=r"Sayer has ended; .*sayer.log ends with:\n.*is taken"):
        await server.wait_until(no, 10)
    await server.stop()


async def test_a_server_that_never_answers_is_ended(tmp_path: Path) -> None:
    server = ServerProcess("Mute", tmp_path / "mute.log")
    await server.start(["/bin/sleep", "600"])
    pid = server.pid
    assert pid
    with pytest.raises(NotStarted, match="Mute did not answer within 0"):
        await server.wait_until(no, 0.05)
    assert not is_alive(pid)


async def test_a_program_that_fails_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(NotStarted, match="sh has failed"):
        await run_program(["/bin/sh", "-c", "exit 1"], tmp_path / "log")


async def test_what_a_stubborn_server_has_started_ends_with_it(tmp_path: Path) -> None:
    server = ServerProcess("Stubborn", tmp_path / "log")
    script = 'trap "" TERM; sleep 600 & echo $!; while true; do sleep 600; done'
    await server.start(["/bin/sh", "-c", script])
    await server.wait_until(yes, 1)
    child = int(wait_for("its child", lambda: (tmp_path / "log").read_text().strip()))
    assert is_alive(child)
    await server.stop(0.1)
    wait_for("its child to be gone", lambda: not is_alive(child))
    assert not server.is_running


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise is Linux's")
def test_a_server_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.run(
        [sys.executable, "-c", ORPHANS, tmp_path / "log"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    wait_for("the orphan to be gone", lambda: not is_alive(int(parent.stdout)))


async def test_a_server_leads_a_group_of_its_own(tmp_path: Path) -> None:
    server = ServerProcess("Leader", tmp_path / "log")
    await server.start(["/bin/sleep", "600"])
    assert server.pid
    assert os.getpgid(server.pid) == server.pid  # a Ctrl-C in the terminal does not reach it
    await server.stop()


def test_a_taken_port_is_replaced() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert choose_port(port) != port
    assert choose_port(port) == port
    assert choose_port(port, but_not=(port,)) != port


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as somebody else")
def test_data_lies_elsewhere_where_another_user_cannot_get_to_it(tmp_path: Path) -> None:
    closed, elsewhere = tmp_path / "closed", tmp_path / "elsewhere"
    closed.mkdir(mode=0o700)
    assert not is_passable(closed)
    home = house(closed / "postgres", "nobody", elsewhere)
    assert home.parent == elsewhere
    assert home.owner() == "nobody"
    (home / "kept").touch()
    assert (house(closed / "postgres", "nobody", elsewhere) / "kept").exists()
    (closed / "postgres").unlink()  # what removes the state removes the link
    assert not (house(closed / "postgres", "nobody", elsewhere) / "kept").exists()
