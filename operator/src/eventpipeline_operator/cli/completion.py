"""`completion`: what a shell needs to complete commands, options and names; kubectl too."""

import sys

import click
from click.shell_completion import ShellComplete, get_completion_class

from eventpipeline_operator.cli.program import program

NAME = "eventpipeline"
VARIABLE = "_EVENTPIPELINE_COMPLETE"  # click looks for it when the program is called
WITH_FILES, WITHOUT_FILES = ":0", ":4"  # what kubectl's own completion does with our answer


@click.command("completion", short_help="Script for bash, zsh or fish")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> None:
    """Print a script that teaches SHELL to complete; source it in its start-up file.

    bash: source <(eventpipeline completion bash)
    """
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - the choice above has only known ones
    click.echo(found(program, {}, NAME, VARIABLE).source())


def complete_for_kubectl() -> None:
    """What kubectl calls as `kubectl_complete-eventpipeline`, with the words so far."""
    *words, incomplete = sys.argv[1:] or [""]
    items = ShellComplete(program, {}, NAME, VARIABLE).get_completions(words, incomplete)
    for item in items:
        if item.type == "plain":
            click.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    click.echo(WITH_FILES if any(item.type != "plain" for item in items) else WITHOUT_FILES)
