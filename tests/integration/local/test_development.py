"""The shop without a cluster: what `eventpipeline dev` promises, with every real part.

One run serves the tests in their order; the last ones end it.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from confluent_kafka.admin import (  # type: ignore[attr-defined] # stubs re-export nothing
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from servers.development import Development, is_alive, memory_of
from servers.local import answers, find_artifact, open_directory
from servers.waiting import wait_for

MEMORY_LIMIT = 1536 * 1024 * 1024
TOPIC = "shop.shop.orders"


@pytest.fixture(scope="module")
def dev(kafka_programs: Any, postgres_programs: Path) -> Iterator[Development]:
    del kafka_programs, postgres_programs  # skips where they are not there
    with (
        open_directory() as directory,
        closing(Development(directory, "--stand-in")) as development,
    ):
        development.start()
        yield development


def test_an_order_ends_in_a_mail(dev: Development, product: str) -> None:
    dev.add_stock(product, 10)
    order = dev.place(product, 3)
    dev.wait_for_order(order, "CONFIRMED")
    assert dev.wait_for_mail(order) == "Order Created"


def test_an_order_that_stock_cannot_serve_is_refused(dev: Development, product: str) -> None:
    dev.add_stock(product, 1)
    order = dev.place(product, 100)
    dev.wait_for_order(order, "REJECTED")
    assert dev.wait_for_mail(order) == "Order Rejected"


def test_everything_together_needs_little_memory(
    dev: Development, record_testsuite_property: Callable[[str, object], None]
) -> None:
    used = memory_of(dev.pids())
    record_testsuite_property("memory_mib", used // 2**20)
    record_testsuite_property("started_in_seconds", round(dev.started_in, 1))
    assert used <= MEMORY_LIMIT


def test_a_drifted_topic_is_repaired(dev: Development) -> None:
    admin = AdminClient({"bootstrap.servers": dev.address("kafka")})
    assert _retention(admin) == "-1"
    entry = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, TOPIC, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()
    wait_for("the retention as declared", lambda: _retention(admin) == "-1", seconds=60)


def test_a_killed_process_is_started_anew(dev: Development, product: str) -> None:
    (killed,) = dev.pids_of("stock-consumer")
    os.kill(killed, signal.SIGKILL)
    wait_for("another process", lambda: dev.pids_of("stock-consumer") - {killed}, seconds=90)
    dev.add_stock(product, 1)
    dev.wait_for_order(dev.place(product, 1), "CONFIRMED")


def test_a_rotated_secret_rolls_the_processes_that_use_it_alone(dev: Development) -> None:
    mail, order = dev.pids_of("email-sender"), dev.pids_of("order-relay")
    contents = yaml.safe_load(dev.secrets.read_text())
    contents["kv"]["kv/shop"]["EMAIL_PASSWORD"] = "another"
    dev.secrets.write_text(yaml.safe_dump(contents))
    wait_for("another process", lambda: dev.pids_of("email-sender") - mail, seconds=90)
    wait_for("the end of the first", lambda: not any(map(is_alive, mail)), seconds=60)
    assert dev.pids_of("order-relay") == order
    wait_for("readiness", dev.is_ready, seconds=90)


def test_an_added_worker_runs_and_a_removed_one_is_gone(dev: Development) -> None:
    def add(spec: Any) -> None:
        spec["services"][0]["workers"].append({"name": "second", "args": ["sweep"]})

    def remove(spec: Any) -> None:
        spec["services"][0]["workers"].pop()

    dev.edit(add)
    (pid,) = wait_for("the worker", partial(dev.pids_of, "order-second"), seconds=90)
    dev.edit(remove)
    wait_for("its end", lambda: not is_alive(pid), seconds=60)
    wait_for("word of it", lambda: "process order-second-0: gone" in dev.lines())


def test_written_code_runs_without_a_refused_request(dev: Development) -> None:
    before = dev.pids_of("stock")
    (dev.code / "written.py").write_text("")

    def replaced() -> bool:
        answer = requests.get(dev.url("/stock/nothing"), timeout=30)
        assert answer.status_code == 404, answer.text
        return bool(dev.pids_of("stock") - before)

    wait_for("another process", replaced, seconds=120)
    wait_for("readiness", dev.is_ready, seconds=120)


def test_a_mistake_in_the_file_is_told_and_changes_nothing(dev: Development) -> None:
    right = dev.object.read_text()
    dev.object.write_text(right + "\n  - [")
    wait_for("word of it", lambda: any("error: " in line for line in dev.lines()[-5:]), seconds=60)
    dev.object.write_text(right)
    assert dev.pids_of("order")


def test_an_interrupt_leaves_nothing_but_the_state(dev: Development, product: str) -> None:
    dev.add_stock(product, 5)
    order = dev.place(product, 1)
    dev.wait_for_order(order, "CONFIRMED")
    processes, kafka = dev.pids(), dev.address("kafka")
    assert dev.end(signal.SIGINT) == 0
    assert not [pid for pid in processes if is_alive(pid)]
    assert not answers(int(kafka.rpartition(":")[2]))
    assert not answers(int(dev.url("").split(":")[2].partition("/")[0]))
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
        assert development.wait_for_mail(order) == "Order Created"
        processes = development.pids()
        assert memory_of(processes) <= MEMORY_LIMIT
        assert development.end(signal.SIGINT) == 0
        assert not [pid for pid in processes if is_alive(pid)]


def _retention(admin: AdminClient) -> str:
    (future,) = admin.describe_configs([ConfigResource(ResourceType.TOPIC, TOPIC)]).values()
    value: str = future.result()["retention.ms"].value
    return value
