"""TCP proxies in front of the backing servers: latency, resets, and peers that fall silent.

A proxy runs in the event loop of `edge`; its faults are switched from the injector's thread.
"""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field

_CHUNK = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(eq=False)
class _Link:
    """One client's connection and the one made for it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    pumps: set[asyncio.Task[None]] = field(default_factory=set)

    def reset(self) -> None:
        """Both ends see RST, as after a crashed router."""
        for writer in (self.client, self.server):
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError, AttributeError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()
        for pump in self.pumps:
            pump.cancel()


class Proxy:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`target`."""

    def __init__(self, name: str, target: int) -> None:
        self.name = name
        self.target = target
        self.port = 0
        self.latency = 0.0
        self.silent = False
        self.forwarded = 0
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End every connection and listen no more."""
        if self._server is not None:
            self._server.close()
        await self.reset()

    async def reset(self) -> int:
        """Reset every connection; answers how many there were."""
        links, self._links = self._links, set()
        for link in links:
            link.reset()
        return len(links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, server)
        self._links.add(link)
        link.pumps = {
            asyncio.create_task(self._pump(reader, server)),
            asyncio.create_task(self._pump(upstream, writer)),
        }
        await asyncio.wait(link.pumps, return_when=asyncio.FIRST_COMPLETED)
        self._links.discard(link)
        for pump in link.pumps:
            pump.cancel()
        for end in (writer, server):
            end.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while chunk := await source.read(_CHUNK):
                if self.latency:
                    await asyncio.sleep(self.latency)
                if self.silent:  # taken and never passed on: a peer that is gone without a word
                    continue
                self.forwarded += len(chunk)
                sink.write(chunk)
                await sink.drain()
