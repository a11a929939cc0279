"""Orders for faults, and who claims them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from faults.failpoints import Action, Failpoints, armed
from servers.local import REPOSITORY

REACH = """
import sys
from pathlib import Path
from faults.failpoints import Failpoints
Failpoints(Path(sys.argv[1])).reach("order.relay.taken")
print("went on")
"""


def test_nothing_happens_where_nothing_is_ordered(tmp_path: Path) -> None:
    assert Failpoints(tmp_path).reach("order.relay.taken") is None


def test_an_order_is_claimed_once_and_leaves_a_record(tmp_path: Path) -> None:
    failpoints = Failpoints(tmp_path)
    failpoints.arm("order.relay.published", Action.FAIL)
    assert failpoints.reach("order.relay.published") is Action.FAIL
    assert failpoints.reach("order.relay.published") is None
    fired = failpoints.fired("order.relay.published")
    assert fired is not None
    assert (fired.action, fired.pid) == (Action.FAIL, os.getpid())
    assert failpoints.fired("order.relay.published") is None


def test_an_order_that_nobody_claimed_is_withdrawn(tmp_path: Path) -> None:
    failpoints = Failpoints(tmp_path)
    with armed(failpoints, "stock.consumer.handled", Action.FAIL):
        pass
    assert failpoints.reach("stock.consumer.handled") is None


def test_a_kill_ends_the_process_where_it_stands_and_is_on_record(tmp_path: Path) -> None:
    failpoints = Failpoints(tmp_path)
    failpoints.arm("order.relay.taken", Action.KILL)
    ended = subprocess.run(
        [sys.executable, "-c", REACH, tmp_path],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "tests")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGKILL, "")
    assert failpoints.fired("order.relay.taken") is not None
