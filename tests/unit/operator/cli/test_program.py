"""The command line as a whole: every command is there, whole, and loaded late."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from eventpipeline_operator.cli.program import COMMANDS, program

CLIENTS = ("kubernetes", "confluent_kafka", "hvac", "kopf")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    command = program.get_command(click.Context(program), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str()
    assert command.help
    assert CliRunner().invoke(program, [name, "--help"]).exit_code == 0


def test_a_command_that_is_not_there_is_named() -> None:
    answer = CliRunner().invoke(program, ["stauts"])
    assert answer.exit_code == 2
    assert "No such command 'stauts'" in answer.output


def test_the_program_itself_loads_no_client() -> None:
    code = f"""
import sys, eventpipeline_operator.cli.program
sys.exit(" ".join(c for c in {CLIENTS} if c in sys.modules) or 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
