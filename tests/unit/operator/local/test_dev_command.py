"""What a person is told who calls `eventpipeline dev` in vain."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from eventpipeline_operator.adapters.local.backing.errors import BackingError
from eventpipeline_operator.adapters.local.state import State
from eventpipeline_operator.cli import dev, here
from eventpipeline_operator.cli.program import program


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(here, "configure_logs", lambda _: None)
    (tmp_path / "shop.yaml").write_text("kind: EventPipeline\n")
    (tmp_path / "dev.yaml").write_text("images: {}\n")
    return ["-f", str(tmp_path / "shop.yaml"), "--state", str(tmp_path / "state")]


def test_a_mistake_in_dev_yaml_is_one_sentence(call: list[str], tmp_path: Path) -> None:
    (tmp_path / "dev.yaml").write_text("addresses: {kafka: kafka}\n")
    answer = CliRunner().invoke(dev.command, call)
    assert answer.exit_code == 1
    assert "dev.yaml: addresses.kafka: must be host:port" in answer.output
    assert "Traceback" not in answer.output


def test_a_second_run_is_refused(call: list[str], tmp_path: Path) -> None:
    with State(tmp_path / "state").held(fresh=False):
        answer = CliRunner().invoke(dev.command, call)
    assert answer.exit_code == 1
    assert "another run holds" in answer.output


def test_servers_that_cannot_be_had_are_told_together(
    call: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        causes = [BackingError("no Java"), BackingError("no PostgreSQL")]
        raise ExceptionGroup("tasks", [ExceptionGroup("tasks", causes)])

    monkeypatch.setattr(here, "run", fail)
    answer = CliRunner().invoke(dev.command, call)
    assert answer.exit_code == 1
    assert "Error: no Java; no PostgreSQL" in answer.output


def test_what_nobody_expects_is_not_hidden(
    call: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ExceptionGroup("tasks", [BackingError("no Java"), ZeroDivisionError()])

    monkeypatch.setattr(here, "run", fail)
    assert isinstance(CliRunner().invoke(dev.command, call).exception, ExceptionGroup)


def test_without_the_extra_the_other_commands_are_there(
    call: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("eventpipeline_operator.cli.here")
    monkeypatch.delitem(sys.modules, "eventpipeline_operator.cli.here")
    monkeypatch.setitem(sys.modules, "rich.live", None)
    monkeypatch.delitem(sys.modules, "eventpipeline_operator.adapters.local.screen")
    monkeypatch.delitem(sys.modules, "eventpipeline_operator.local_main")
    assert "dev " in CliRunner().invoke(program, ["--help"]).output
    answer = CliRunner().invoke(program, ["dev", *call])
    assert answer.exit_code == 1
    assert "this needs rich.live, which is not installed: pip install" in answer.output
