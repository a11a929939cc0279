"""The HTTP entry against servers that answer slowly, break off, or are not there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from eventpipeline_operator.adapters.local.entry import Entry
from eventpipeline_operator.adapters.local.ports import HOST, Ports
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.desired.records import RouteRecord

KEY = Key("team", "shop")
ROUTE = RouteRecord("shop.localhost", (("/", "order", 8080),))
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Front:
    """An entry, and the ports that it is told."""

    ports: Ports
    entry: Entry
    session: aiohttp.ClientSession
    backends: list[int] = field(default_factory=list)
    runners: list[web.AppRunner] = field(default_factory=list)

    async def serve(self, handler: Handler) -> None:
        """Have a backend that answers so."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        self.runners.append(runner)
        self.backends.append(self.ports.choose())
        await web.TCPSite(runner, HOST, self.backends[-1]).start()

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.entry.port}{path}"


@pytest.fixture
async def front() -> AsyncIterator[Front]:
    ports = Ports()
    entry = Entry(ports)
    await entry.start(0)
    entry.route(KEY, ROUTE)
    async with aiohttp.ClientSession() as session:
        made = Front(ports, entry, session)
        entry.reach(lambda _key, _service: made.backends)
        yield made
        for runner in made.runners:
            await runner.cleanup()
    await entry.stop()


async def test_an_answer_streams(front: Front) -> None:
    seen = asyncio.Event()

    async def slowly(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"first")
        await seen.wait()
        await answer.write(b"second")
        return answer

    await front.serve(slowly)
    async with asyncio.timeout(10), front.session.get(front.url("/")) as answer:
        assert await answer.content.readany() == b"first"
        seen.set()
        assert await answer.content.read() == b"second"


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(front: Front) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"first")
        assert request.transport
        request.transport.abort()
        return answer

    await front.serve(break_off)
    async with asyncio.timeout(10), front.session.get(front.url("/")) as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


async def test_requests_go_to_a_process_that_takes_them(front: Front) -> None:
    async def fine(_: web.Request) -> web.StreamResponse:
        return web.Response(text="fine")

    front.backends.append(front.ports.choose())  # nobody listens there
    await front.serve(fine)
    for _ in range(4):
        async with front.session.post(front.url("/"), data=b"order") as answer:
            assert await answer.text() == "fine"


async def test_no_process_that_takes_a_connection_is_a_bad_gateway(front: Front) -> None:
    front.backends.append(front.ports.choose())
    async with front.session.get(front.url("/api")) as answer:
        problem = await answer.json(content_type="application/problem+json")
    assert answer.status == 502
    assert problem == {
        "type": "about:blank",
        "title": "Bad Gateway",
        "status": 502,
        "detail": "service order takes no connection",
        "instance": "/api",
    }


async def test_nobody_ready_is_an_unavailable_service(front: Front) -> None:
    async with front.session.get(front.url("/api")) as answer:
        assert answer.status == 503
        assert answer.content_type == "application/problem+json"


async def test_redirects_and_errors_are_passed_on_as_they_are(front: Front) -> None:
    async def elsewhere(request: web.Request) -> web.StreamResponse:
        if request.path == "/teapot":
            return web.Response(status=418, text="short and stout")
        raise web.HTTPSeeOther("/there")

    await front.serve(elsewhere)
    async with front.session.get(front.url("/"), allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/there")
    async with front.session.get(front.url("/teapot")) as answer:
        assert (answer.status, await answer.text()) == (418, "short and stout")
    async with front.session.head(front.url("/teapot")) as answer:
        assert answer.status == 418
