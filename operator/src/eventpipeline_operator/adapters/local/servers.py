"""The servers that stand for addresses of the object: started at once, watched, stopped last."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from eventpipeline_operator.adapters.local.backing.errors import BackingError
from eventpipeline_operator.adapters.local.backing.ports import HOST
from eventpipeline_operator.adapters.local.devfile import Address, Stand
from eventpipeline_operator.adapters.local.view import Kind, Mood, Row

log = structlog.get_logger()

LOOK_SECONDS = 1.0


class Server(Protocol):
    """One server of this machine; one that is reached in no other way than by us has port 0."""

    @property
    def name(self) -> str:
        """What it is."""
        ...

    @property
    def port(self) -> int:
        """Where it listens."""
        ...

    async def start(self) -> None:
        """Start it and wait until it answers."""
        ...

    async def stop(self) -> None:
        """Stop it; what it holds stays."""
        ...


Build = Callable[[], Awaitable[Server]]


@dataclass
class _Entry:
    """A server and how far it is."""

    state: str = "looked for"
    mood: Mood = Mood.BUSY
    server: Server | None = None


class Servers:
    """All of them, by what they stand for."""

    def __init__(self, builders: Mapping[Stand, Build], changed: Callable[[], None]) -> None:
        self._builders = builders
        self._changed = changed
        self._entries = {stand: _Entry() for stand in builders}

    async def start(self) -> None:
        """Find and start all at once; BackingError of the first that cannot be had."""
        async with asyncio.TaskGroup() as group:
            for stand in self._builders:
                group.create_task(self._start(stand))

    async def stop(self) -> None:
        """Stop all that were started."""
        started = [entry.server for entry in self._entries.values() if entry.server]
        await asyncio.gather(*(server.stop() for server in started))

    async def watch(self, moved: Callable[[], None]) -> None:
        """Start anew what has ended by itself, and tell: it may listen elsewhere now."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for stand, entry in self._entries.items():
                if entry.server and getattr(entry.server, "pid", 0) is None:
                    await self._restart(stand, entry, entry.server)
                    moved()

    def get(self, stand: Stand) -> Server:
        """One that was started."""
        server = self._entries[stand].server
        if server is None:
            raise KeyError(stand)
        return server

    def addresses(self) -> dict[Stand, Address]:
        """Where they listen."""
        return {
            stand: Address(HOST, entry.server.port)
            for stand, entry in self._entries.items()
            if entry.server and entry.server.port
        }

    def rows(self) -> list[Row]:
        """For the screen."""
        return [
            Row(
                Kind.SERVER,
                entry.server.name if entry.server else str(stand),
                entry.state,
                entry.mood,
                _details(entry.server),
            )
            for stand, entry in self._entries.items()
        ]

    async def _start(self, stand: Stand) -> None:
        entry = self._entries[stand]
        entry.server = server = await self._builders[stand]()
        self._turn(entry, "starting", Mood.BUSY)
        await server.start()
        self._turn(entry, "ready", Mood.GOOD)

    async def _restart(self, stand: Stand, entry: _Entry, server: Server) -> None:
        log.warning("server has ended", server=str(stand))
        self._turn(entry, "ended, started anew", Mood.BAD)
        try:
            await server.start()
        except BackingError as error:
            log.warning("server not started", server=str(stand), error=str(error))
            return
        self._turn(entry, "ready", Mood.GOOD)

    def _turn(self, entry: _Entry, state: str, mood: Mood) -> None:
        entry.state, entry.mood = state, mood
        self._changed()


def _details(server: Server | None) -> dict[str, str]:
    if server is None or not server.port:
        return {}
    return {"address": f"{HOST}:{server.port}", "pid": str(getattr(server, "pid", None) or "")}
