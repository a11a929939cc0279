"""The one HTTP entry, with the Ingress's paths, and an address for each service for its callers.

Requests go to a ready process of the service, in turn, and stream both ways. What cannot be
answered is told as a problem document (RFC 9457), as our own services do.
"""

import itertools
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Protocol

import aiohttp
from aiohttp import web

from eventpipeline_operator.adapters.local.ports import HOST, Ports
from eventpipeline_operator.adapters.local.routing import describe_paths, find_target
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.desired.records import RouteRecord

HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
CONNECT_SECONDS = 2.0


class Backends(Protocol):
    """Where a service's requests may go."""

    def __call__(self, key: Key, service: str) -> list[int]:
        """Ports that take requests now."""
        ...


class _Refusal(Exception):
    """An answer of our own."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Entry:
    """Routes of all pipelines on one port, services on one port each."""

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self._backends: Backends = nowhere
        self._routes: dict[Key, RouteRecord] = {}
        self._exposed: dict[tuple[Key, str], int] = {}
        self._runners: list[web.AppRunner] = []
        self._turn = itertools.count()
        self._session: aiohttp.ClientSession | None = None
        self.port = 0

    def reach(self, backends: Backends) -> None:
        """From now on ask there who takes requests."""
        self._backends = backends

    async def start(self, preferred: int) -> None:
        """Listen, on the preferred port where it is free."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self.port = self.ports.choose(preferred)
        await self._listen(self.port, self._routed)

    async def stop(self) -> None:
        """Listen no more."""
        for runner in self._runners:
            await runner.cleanup()
        if self._session:
            await self._session.close()

    def route(self, key: Key, route: RouteRecord) -> None:
        """Take over a pipeline's route."""
        self._routes[key] = route

    def forget(self, key: Key) -> None:
        """A pipeline is reached no more."""
        self._routes.pop(key, None)

    async def expose(self, key: Key, service: str) -> str:
        """The address of a service for those that call it; it stays the same."""
        if (key, service) not in self._exposed:
            port = self._exposed[key, service] = self.ports.choose()
            await self._listen(port, lambda _: (key, service))
        return f"http://{HOST}:{self._exposed[key, service]}"

    async def _listen(
        self, port: int, target: Callable[[web.BaseRequest], tuple[Key, str]]
    ) -> None:
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            try:
                return await self._pass_on(request, *target(request))
            except _Refusal as refusal:
                return _problem(refusal, request.path)

        runner = web.ServerRunner(web.Server(handle), shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, HOST, port).start()
        self._runners.append(runner)  # type: ignore[arg-type]

    def _routed(self, request: web.BaseRequest) -> tuple[Key, str]:
        target = find_target(self._routes, request.host, request.path)
        if target is None:
            paths = ", ".join(describe_paths(self._routes.values())) or "none yet"
            raise _Refusal(HTTPStatus.NOT_FOUND, f"no service answers here; paths: {paths}")
        return target

    async def _pass_on(
        self, request: web.BaseRequest, key: Key, service: str
    ) -> web.StreamResponse:
        ports = self._backends(key, service)
        if not ports:
            detail = f"no process of service {service} is ready"
            raise _Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail)
        start = next(self._turn) % len(ports)
        for port in (*ports[start:], *ports[:start]):
            try:
                return await self._exchange(request, port)
            except aiohttp.ClientConnectorError:  # nothing was sent: another may take it
                continue
            except aiohttp.ClientError as error:
                detail = f"service {service} broke off: {error}"
                raise _Refusal(HTTPStatus.BAD_GATEWAY, detail) from error
        raise _Refusal(HTTPStatus.BAD_GATEWAY, f"service {service} takes no connection")

    async def _exchange(self, request: web.BaseRequest, port: int) -> web.StreamResponse:
        if self._session is None:
            raise _Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the entry has not started")
        async with self._session.request(
            request.method,
            f"http://{HOST}:{port}{request.raw_path}",
            headers=_forwarded(request),
            data=request.content if request.can_read_body else None,
            allow_redirects=False,
        ) as upstream:
            answer = web.StreamResponse(status=upstream.status, reason=upstream.reason)
            for name, value in _passed(upstream.headers.items()):
                answer.headers.add(name, value)
            await answer.prepare(request)
            await _copy(upstream, answer, request)
            return answer


async def _copy(
    upstream: aiohttp.ClientResponse, answer: web.StreamResponse, request: web.BaseRequest
) -> None:
    """Stream the body; once begun, an answer that breaks off can only be broken off as well."""
    try:
        async for chunk in upstream.content.iter_any():
            await answer.write(chunk)
        await answer.write_eof()
    except (aiohttp.ClientError, ConnectionError):
        if request.transport:
            request.transport.abort()


def nowhere(key: Key, service: str) -> list[int]:
    """Nothing runs yet."""
    del key, service
    return []


def _passed(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]


def _forwarded(request: web.BaseRequest) -> list[tuple[str, str]]:
    """The request's headers, and those that tell who asked."""
    before = request.headers.get("X-Forwarded-For")
    client = request.remote or HOST
    told = {"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}
    return [
        *((n, v) for n, v in _passed(request.headers.items()) if n.title() not in told),
        ("X-Forwarded-For", f"{before}, {client}" if before else client),
        ("X-Forwarded-Host", request.host),
        ("X-Forwarded-Proto", "http"),
    ]


def _problem(refusal: _Refusal, path: str) -> web.Response:
    body = {
        "type": "about:blank",
        "title": refusal.status.phrase,
        "status": refusal.status.value,
        "detail": refusal.detail,
        "instance": path,
    }
    return web.json_response(
        body, status=refusal.status.value, content_type="application/problem+json"
    )
