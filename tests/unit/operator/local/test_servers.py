"""Servers that are started together, watched, and stopped."""

import asyncio

import pytest

from eventpipeline_operator.adapters.local import servers as module
from eventpipeline_operator.adapters.local.backing.errors import BackingError
from eventpipeline_operator.adapters.local.devfile import Address, Stand
from eventpipeline_operator.adapters.local.servers import Build, Server, Servers
from eventpipeline_operator.adapters.local.view import Mood


class FakeServer:
    """Ends and starts as it is told."""

    name = "fake"

    def __init__(self, port: int, *, broken: bool = False) -> None:
        self.port = port
        self.pid: int | None = None
        self.starts = 0
        self._broken = broken

    async def start(self) -> None:
        if self._broken:
            raise BackingError("no Java here")
        self.starts += 1
        self.pid = 100 + self.starts

    async def stop(self) -> None:
        self.pid = None


def building(server: Server) -> Build:
    async def build() -> Server:
        return server

    return build


async def test_servers_tell_where_they_listen_and_how_they_are() -> None:
    kafka, mail = FakeServer(9092), FakeServer(1025)
    looks: list[list[str]] = []
    servers = Servers(
        {Stand.KAFKA: building(kafka), Stand.MAIL: building(mail)},
        lambda: looks.append([row.state for row in servers.rows()]),
    )
    await servers.start()
    assert servers.addresses()[Stand.KAFKA] == Address("127.0.0.1", 9092)
    assert [row.mood for row in servers.rows()] == [Mood.GOOD, Mood.GOOD]
    assert looks[0][0] == "starting"
    await servers.stop()
    assert (kafka.pid, mail.pid) == (None, None)


async def test_one_that_cannot_be_had_ends_the_start() -> None:
    servers = Servers({Stand.KAFKA: building(FakeServer(1, broken=True))}, lambda: None)
    with pytest.raises(ExceptionGroup) as caught:
        await servers.start()
    assert caught.group_contains(BackingError, match="no Java here")


async def test_one_that_ends_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    kafka, moved = FakeServer(9092), asyncio.Event()
    servers = Servers({Stand.KAFKA: building(kafka)}, lambda: None)
    await servers.start()
    watching = asyncio.create_task(servers.watch(moved.set))
    kafka.pid = None
    async with asyncio.timeout(5):
        await moved.wait()
    watching.cancel()
    assert kafka.starts == 2
