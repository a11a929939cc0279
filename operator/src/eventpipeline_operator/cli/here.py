"""What `dev` does: a run on this machine, from a person's wishes to its orderly end."""

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Wishes:
    """The command line."""

    objects: Path
    dev: Path | None
    state: Path | None
    fresh: bool
    plain: bool
    vault: str
    then: str

    def options(self, state: State) -> Options:
        """The same for the run."""
        files = Files(self.objects, self.dev or self.objects.with_name("dev.yaml"))
        return Options(files, state, tuple(shlex.split(self.then)), VaultChoice[self.vault])


def stay(wishes: Wishes) -> None:
    """Run until somebody ends it; what is expected to go wrong becomes a sentence."""
    given = wishes.state
    state = State(given.absolute()) if given else State.default(wishes.objects, os.environ)
    try:
        with state.held(fresh=wishes.fresh):
            configure_logs(state.logs / "operator.log")
            _stay(wishes.options(state), plain=wishes.plain)
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
