"""A proxy in front of the API server: counts what is asked, refuses or cuts what a test says.

Clients speak plain HTTP to it and keep their own tokens, so that the server's rights still count.
"""

import asyncio
import json
import re
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from servers.kubernetes import KubernetesServer
from servers.local import free_port

HOP_BY_HOP = frozenset({"connection", "transfer-encoding", "content-length", "host", "keep-alive"})
NAMED = re.compile(r"^/apis?(?:/[^/]+){1,2}/namespaces/(?P<namespace>[^/]+)/(?P<rest>.+)$")


@dataclass(frozen=True)
class Asked:
    """One request; `resource` is plural/name with its subresource."""

    method: str
    namespace: str
    resource: str
    watch: bool

    @property
    def kind(self) -> str:
        """The resource alone, in the plural."""
        return self.resource.partition("/")[0]


@dataclass
class Rule:
    """Refuses matching requests while `left` is not used up."""

    matches: Callable[[Asked], bool]
    status: int
    headers: dict[str, str]
    left: float
    in_stream: bool
    hits: int = 0

    def refuse(self) -> web.Response:
        """The failure as the API server words it."""
        self.left -= 1
        self.hits += 1
        answer = {"kind": "Status", "code": self.status, "message": "refused by the test"}
        if self.in_stream:
            event = json.dumps({"type": "ERROR", "object": answer}) + "\n"
            return web.Response(text=event, content_type="application/json")
        return web.json_response(answer, status=self.status, headers=self.headers)


class KubernetesProxy:
    """Forwards 127.0.0.1:`port` to an API server."""

    def __init__(self, server: KubernetesServer) -> None:
        self._server = server
        self._port = free_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._rules: list[Rule] = []
        self._watches: list[web.Request] = []
        self.asked: Counter[tuple[str, str, str]] = Counter()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listens in a thread of its own."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(30)

    def stop(self) -> None:
        """Ends every connection."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @contextmanager
    def refusing(
        self,
        matches: Callable[[Asked], bool],
        *,
        status: int = 429,
        retry_after: int | None = 1,
        times: float = float("inf"),
        in_stream: bool = False,
    ) -> Iterator[Rule]:
        """Answers matching requests with a failure instead of asking the server.

        `in_stream` lets a watch begin well and tells of the failure in its first event.
        """
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        rule = Rule(matches, status, headers, times, in_stream)
        self._rules.append(rule)
        try:
            yield rule
        finally:
            self._rules.remove(rule)

    def cut_watches(self) -> int:
        """Resets the connections of all open watches; says how many there were."""
        return asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    async def _serve(self) -> None:
        context = ssl.create_default_context(cafile=str(self._server.authority))
        connector = aiohttp.TCPConnector(ssl=context, limit=0)
        self._session = aiohttp.ClientSession(
            self._server.url, connector=connector, timeout=aiohttp.ClientTimeout(total=None)
        )
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=1
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()

    async def _close(self) -> None:
        await self._cut()
        await self._runner.cleanup()
        await self._session.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _cut(self) -> int:
        watches, self._watches = self._watches, []
        for request in watches:
            if request.transport:
                request.transport.abort()
        return len(watches)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        asked = _asked(request)
        for rule in self._rules:
            if rule.left > 0 and rule.matches(asked):
                return rule.refuse()
        self.asked[asked.method, asked.namespace, asked.kind] += 1
        body = await request.read()
        kept = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        target = self._session.request(
            request.method, request.raw_path, headers=kept, data=body or None
        )
        async with target as found:
            response = web.StreamResponse(status=found.status)
            response.content_type = found.content_type
            await response.prepare(request)
            if asked.watch:
                self._watches.append(request)
            with suppress(ConnectionError, aiohttp.ClientError):
                async for chunk in found.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
            self._watches = [each for each in self._watches if each is not request]
            return response


def _asked(request: web.Request) -> Asked:
    found = NAMED.match(request.path)
    resource = found["rest"] if found else request.path.rpartition("/")[2]
    namespace = found["namespace"] if found else ""
    return Asked(request.method, namespace, resource, "watch" in request.query)


def redirect(kubeconfig: Path, url: str) -> None:
    """Lets a kubeconfig lead to a proxy."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"][0]["cluster"] = {"server": url}
    kubeconfig.write_text(yaml.safe_dump(config))
