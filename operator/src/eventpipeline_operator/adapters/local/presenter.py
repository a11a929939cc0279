"""Keeps the screen true, and runs the command that a person wants when everything is ready."""

import asyncio
import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from eventpipeline_operator.adapters.local.screen import Screen
from eventpipeline_operator.adapters.local.view import View

DRAW_SECONDS = 0.5
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Presenter:
    """Draws when something has changed, and every now and then."""

    def __init__(self, screen: Screen) -> None:
        self.look: Callable[[], View] = View
        self.ready = asyncio.Event()
        self._screen = screen
        self._news = asyncio.Event()

    def say(self, words: str) -> None:
        """Show a line, without the colours that a program may give it."""
        plain = COLOUR.sub("", words)
        if plain.strip():
            self._screen.say(plain)

    def changed(self) -> None:
        """There is something new to see."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._news.clear()
            view = self.look()
            self._screen.show(view)
            if view.ready:
                self.ready.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAW_SECONDS):
                    await self._news.wait()

    async def follow_up(self, command: Sequence[str], told: Mapping[str, str]) -> None:
        """Run a command once everything is ready; what it says is shown."""
        await self.ready.wait()
        try:
            process = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, **told}, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            self.say(f"{command[0]}: {error.strerror}")
            return
        try:
            if process.stdout:
                async for line in process.stdout:
                    self.say(line.decode(errors="replace").rstrip())
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
        if code:
            self.say(f"{command[0]} ends with exit code {code}")
