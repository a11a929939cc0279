"""The shop without a cluster: what `eventpipeline dev` promises, with every real part.

One run serves the tests in their order; the last ones end it.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from contracts.runtime import RuntimeContract
from servers.development import Development, is_alive, memory_of
from servers.local import answers, find_artifact, open_directory
from servers.waiting import wait_for

MEMORY_LIMIT = 1536 * 1024 * 1024


@pytest.fixture(scope="module")
def dev(kafka_programs: Any, postgres_programs: Path) -> Iterator[Development]:
    del kafka_programs, postgres_programs  # skips where they are not there
    with (
        open_directory() as directory,
        closing(Development(directory, "--stand-in")) as development,
    ):
        development.start()
        yield development


class TestLocalProcesses(RuntimeContract):
    @pytest.fixture(scope="class")
    @classmethod
    def runtime(cls, dev: Development) -> Development:
        return dev


def test_everything_together_needs_little_memory(
    dev: Development, record_testsuite_property: Callable[[str, object], None]
) -> None:
    used = memory_of(dev.pids())
    record_testsuite_property("memory_mib", used // 2**20)
    record_testsuite_property("started_in_seconds", round(dev.started_in, 1))
    assert used <= MEMORY_LIMIT


def test_written_code_runs_without_a_refused_request(dev: Development) -> None:
    before = dev.processes("stock")
    (dev.code / "written.py").write_text("")

    def replaced() -> bool:
        answer = dev.call("GET", "/api/v1/stock/nothing")
        assert answer.status_code == 404, answer.text
        return bool(dev.processes("stock") - before)

    wait_for("another process", replaced, seconds=120)
    wait_for("readiness", dev.is_ready, seconds=120)


def test_a_mistake_in_the_file_is_told_and_changes_nothing(dev: Development) -> None:
    right = dev.object.read_text()
    dev.object.write_text(right + "\n  - [")
    wait_for("word of it", lambda: any("error: " in line for line in dev.lines()[-5:]), seconds=60)
    dev.object.write_text(right)
    assert dev.processes("order")


def test_an_interrupt_leaves_nothing_but_the_state(dev: Development, product: str) -> None:
    dev.add_stock(product, 5)
    order = dev.place(product, 1)
    dev.wait_for_order(order, "CONFIRMED")
    processes, kafka = dev.pids(), dev.address("kafka")
    assert dev.end(signal.SIGINT) == 0
    assert not [pid for pid in processes if is_alive(pid)]
    assert not answers(port_of(kafka))
    assert not answers(port_of(dev.entry))
    dev.start()
    dev.wait_for_order(order, "CONFIRMED")


def test_even_a_killed_run_leaves_no_process(dev: Development) -> None:
    processes = dev.pids()
    dev.end(signal.SIGKILL)
    wait_for("the end of all", lambda: not [p for p in processes if is_alive(p)], seconds=60)


@pytest.mark.long
def test_a_real_vault_serves_the_same_object(
    kafka_programs: Any, postgres_programs: Path, product: str
) -> None:
    del kafka_programs, postgres_programs
    found = find_artifact("vault")
    if isinstance(found, str):
        pytest.skip(found)
    with (
        open_directory() as directory,
        closing(Development(directory, "--vault")) as development,
    ):
        development.start()
        assert any(line.startswith("server vault: ready") for line in development.lines())
        development.add_stock(product, 1)
        order = development.place(product, 1)
        development.wait_for_order(order, "CONFIRMED")
        assert development.wait_for_mails(order) == ["Order Created"]
        processes = development.pids()
        assert memory_of(processes) <= MEMORY_LIMIT
        assert development.end(signal.SIGINT) == 0
        assert not [pid for pid in processes if is_alive(pid)]


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])
