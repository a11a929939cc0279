"""`dev`: the same object as processes of this machine, no cluster."""

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from eventpipeline_operator.adapters.local.backing.errors import BackingError
from eventpipeline_operator.adapters.local.delivery import Files
from eventpipeline_operator.adapters.local.devfile import DevFileError
from eventpipeline_operator.adapters.local.screen import LineScreen, Screen, open_screen
from eventpipeline_operator.adapters.local.stands import VaultChoice
from eventpipeline_operator.adapters.local.state import State, StateInUse
from eventpipeline_operator.local_main import Options, configure_logs, run

INTERRUPTED = 130
EXPECTED = (BackingError, DevFileError, StateInUse)


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
    "--vault", "vault", flag_value=VaultChoice.REAL, type=VaultChoice, default=VaultChoice.FOUND,
    help="A real Vault, built where it is not found; without, the stand-in is used then.",
)  # fmt: skip
@click.option(
    "--stand-in", "vault", flag_value=VaultChoice.STAND_IN, type=VaultChoice,
    help="The stand-in for Vault, even where a real one is found.",
)  # fmt: skip
@click.option("--then", default="", help="A command to run once everything is ready.")
def command(  # noqa: PLR0913 - an option each
    *,
    objects: Path,
    dev: Path | None,
    state: Path | None,
    fresh: bool,
    plain: bool,
    vault: VaultChoice,
    then: str,
) -> None:
    """Run a pipeline on this machine until Ctrl-C; edits of the object and of code are followed."""
    files = Files(objects, dev or objects.with_name("dev.yaml"))
    kept = State(state.absolute()) if state else State.default(objects, os.environ)
    try:
        with kept.held(fresh=fresh):
            configure_logs(kept.logs / "operator.log")
            _stay(Options(files, kept, tuple(shlex.split(then)), vault), plain=plain)
    except EXPECTED as error:
        raise click.ClickException(str(error)) from error
    except BaseExceptionGroup as group:
        expected, others = group.split(EXPECTED)
        if others or expected is None:
            raise
        raise click.ClickException("; ".join(_sentences(expected))) from group


def _sentences(group: BaseExceptionGroup[BaseException]) -> Iterator[str]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _sentences(error)
        else:
            yield str(error)


def _stay(options: Options, *, plain: bool) -> None:
    with (
        contextlib.closing(_screen(plain=plain)) as screen,
        contextlib.suppress(asyncio.CancelledError),
    ):
        asyncio.run(_until_interrupted(options, screen))


def _screen(*, plain: bool) -> Screen:
    return LineScreen(sys.stdout) if plain else open_screen(sys.stdout)


async def _until_interrupted(options: Options, screen: Screen) -> None:
    """The first signal ends everything in order, the second at once: children die with us."""
    task = asyncio.create_task(run(options, screen))
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if task.cancelling():
            os._exit(INTERRUPTED)
        screen.say("stopping; Ctrl-C again ends it at once")
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupted)
    await task
