"""Command line, worker process, logs."""

import json
import logging
import pkgutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from eventbus import logs
from eventbus.command import Context, Service, main
from eventbus.runtime import Heartbeat, Loop, Worker
from eventbus.settings import ServiceSettings


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """`logs.configure` speaks for a whole process; a test is only a guest in one."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


DONE: list[Any] = []


def build_task(context: Context) -> Loop:
    return lambda _stop, _heartbeat: DONE.append(context.settings.service)


SERVICE = Service(
    ServiceSettings,
    "nowhere:api",
    {"relay": "nowhere:relay"},
    Path(),
    tasks={"mend": f"{__name__}:build_task"},
)


@pytest.mark.parametrize(
    "arguments",
    [["dance"], ["api", "relay"], ["migrate", "relay"], ["redrive", "x"], ["mend", "relay"]],
)
def test_an_odd_command_is_refused_with_the_right_ones(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(SERVICE, arguments) == 2
    assert (
        "usage: api | migrate | dead-letters | redrive [ID…] | mend | worker | relay"
        in capsys.readouterr().err
    )


def test_an_incomplete_environment_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert main(SERVICE, ["relay"]) == 2
    assert "DATABASE_URL is not set" in capsys.readouterr().err


def test_a_task_ends_by_itself_and_needs_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1/nobody")
    monkeypatch.setenv("METRICS_PORT", "1")  # of a worker that runs beside it
    monkeypatch.setattr(pkgutil, "resolve_name", {f"{__name__}:build_task": build_task}.get)
    assert main(SERVICE, ["mend"]) == 0
    assert DONE == ["service"]


def test_a_worker_ends_when_all_its_loops_do() -> None:
    done: list[str] = []

    def loop(_stop: threading.Event, heartbeat: Heartbeat) -> None:
        heartbeat.beat()
        done.append("done")

    assert Worker({"one": loop, "two": loop}).run() == 0
    assert done == ["done", "done"]


def test_a_loop_that_fails_takes_the_others_with_it() -> None:
    def broken(_stop: threading.Event, _heartbeat: Heartbeat) -> None:
        raise RuntimeError

    def patient(stop: threading.Event, _heartbeat: Heartbeat) -> None:
        stop.wait(60)

    assert Worker({"broken": broken, "patient": patient}).run() == 1


def test_a_worker_is_ready_when_every_loop_is() -> None:
    worker = Worker({"one": lambda *_: None, "two": lambda *_: None})
    assert not worker.is_ready()
    for heartbeat in worker._heartbeats.values():
        heartbeat.ready = True
    assert worker.is_ready()
    worker.stop()
    assert not worker.is_ready()


def test_a_worker_whose_loop_hangs_is_not_alive() -> None:
    worker = Worker({"one": lambda *_: None})
    assert worker.is_alive()
    worker._heartbeats["one"].last -= 3_600
    assert not worker.is_alive()


def test_log_lines_are_json_and_say_who_speaks(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", service="order", worker="relay")
    log = structlog.get_logger("test")
    speak = threading.Thread(target=lambda: log.warning("relay.delayed", seconds=1))
    speak.start()
    speak.join()
    log.debug("too quiet")
    (line,) = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert next(iter(event)) == "event"
    assert event["event"] == "relay.delayed"
    assert (event["level"], event["service"], event["worker"]) == ("warning", "order", "relay")
