"""`dev`: the same object as processes of this machine, no cluster."""

from pathlib import Path
from typing import Any

import click

EXTRA = "eventpipeline-operator[local]"


@click.command("dev", short_help="Run the object here as processes, without a cluster")
@click.option(
    "-f", "--file", "objects", required=True, help="The object.",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)  # fmt: skip
@click.option(
    "--dev", "dev", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What stands for its images and addresses; dev.yaml beside it if not given.",
)  # fmt: skip
@click.option(
    "--state", "state", type=click.Path(file_okay=False, path_type=Path),
    help="Where everything is kept between runs.",
)  # fmt: skip
@click.option("--fresh", is_flag=True, help="Forget what earlier runs have kept.")
@click.option("--plain", is_flag=True, help="Lines of what changes, also on a terminal.")
@click.option(
    "--vault", "vault", flag_value="REAL", default="FOUND",
    help="A real Vault, built where it is not found; without, the stand-in is used then.",
)  # fmt: skip
@click.option(
    "--stand-in", "vault", flag_value="STAND_IN",
    help="The stand-in for Vault, even where a real one is found.",
)  # fmt: skip
@click.option("--then", default="", help="A command to run once everything is ready.")
def command(**wishes: Any) -> None:
    """Run a pipeline on this machine until Ctrl-C; edits of the object and of code are followed."""
    try:
        from eventpipeline_operator.cli import here  # noqa: PLC0415 - loads what is an extra
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this needs {error.name}, which is not installed: pip install '{EXTRA}'"
        ) from error
    here.stay(here.Wishes(**wishes))
