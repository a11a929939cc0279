"""`--watch`: draw, wait for a change in the cluster, draw again, until Ctrl-C."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import aiohttp
import click

from eventpipeline_operator.adapters.kube.client import ApiError, KubeClient

HOME, CLEAR_LINE, CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"
CLEAR = "\x1b[2J"
LOOK_SECONDS = 5.0  # ages grow without any event
TOGETHER_SECONDS = 0.1  # events that come together are one picture
AGAIN_SECONDS = 2.0


class Target(NamedTuple):
    """What is watched: a collection's address and a selection."""

    path: str
    query: tuple[tuple[str, str], ...]


async def redraw(
    client: KubeClient, targets: Sequence[Target], look: Callable[[], Awaitable[str]]
) -> None:
    """Show what `look` gives, again after each change; a picture is written in place."""
    changed = asyncio.Event()
    on_screen = sys.stdout.isatty()
    followers = [asyncio.create_task(_follow(client, t, changed)) for t in targets]
    if on_screen:
        click.echo(CLEAR, nl=False)
    try:
        last = ""
        while True:
            changed.clear()
            picture = await look()
            if on_screen or picture != last:
                click.echo(_in_place(picture) if on_screen else picture)
            last = picture
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), LOOK_SECONDS)
                await asyncio.sleep(TOGETHER_SECONDS)
    finally:
        for follower in followers:
            follower.cancel()


async def _follow(client: KubeClient, target: Target, changed: asyncio.Event) -> None:
    """Tell of each event; a watch that ends or breaks off is begun anew."""
    while True:
        try:
            async for _ in client.watch(target.path, list(target.query)):
                changed.set()
        except (ApiError, aiohttp.ClientError, TimeoutError, ValueError):
            await asyncio.sleep(AGAIN_SECONDS)


def _in_place(picture: str) -> str:
    """Written over the one before, without the flicker of an emptied screen."""
    return HOME + picture.replace("\n", f"{CLEAR_LINE}\n") + CLEAR_LINE + "\n" + CLEAR_REST
