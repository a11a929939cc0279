"""`eventpipeline` and `kubectl eventpipeline`: the commands, each loaded when it is asked for."""

import importlib
from typing import Any

import click

from eventpipeline_operator.errors import ReconcileError

# The module of the same name in this package holds each one's `command`.
COMMANDS = (
    "apply", "completion", "dev", "dlq", "explain", "graph", "logs", "plan", "replay", "status",
)  # fmt: skip


class Commands(click.Group):
    """Loads a command's module late: completion and --version need none of the clients."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; None lets click say which ones there are."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__package__}.{cmd_name}")
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run; what is expected to go wrong becomes one sentence and exit code 1."""
        try:
            return super().invoke(ctx)
        except ReconcileError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="eventpipeline-operator", prog_name="eventpipeline")
def program() -> None:
    """Look into, plan and repair event pipelines: one object each, in Kubernetes or here."""


def main() -> None:
    """What the console scripts call."""
    program(prog_name="eventpipeline")
