"""HTTP for the kubelet and for Prometheus: /livez, /readyz, /metrics."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


@dataclass
class Health:
    """What the probes look at; main fills it in."""

    oldest: Callable[[], float]
    stuck_seconds: float
    ready: bool = False


def build_app(health: Health) -> web.Application:
    """The three routes."""

    async def livez(_: web.Request) -> web.Response:
        age = health.oldest()
        stuck = age > health.stuck_seconds
        return web.json_response({"oldestUnreconciledSeconds": age}, status=503 if stuck else 200)

    async def readyz(_: web.Request) -> web.Response:
        return web.json_response({"ready": health.ready}, status=200 if health.ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes(
        [web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", metrics)]
    )
    return app
