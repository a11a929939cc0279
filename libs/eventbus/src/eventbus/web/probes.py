"""An API's /livez, /readyz and /metrics, next to its operations."""

import os
from collections.abc import Callable

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector


def add_probes(
    app: Flask, is_reachable: Callable[[], bool], is_draining: Callable[[], bool]
) -> None:
    """Alive is whoever answers; ready is who reaches the database and is not about to stop."""

    def readyz() -> Response:
        if is_draining():
            return Response("draining\n", 503, content_type="text/plain")
        if not is_reachable():
            return Response("the database does not answer\n", 503, content_type="text/plain")
        return Response("ok\n", content_type="text/plain")

    app.add_url_rule("/livez", "livez", lambda: Response("ok\n", content_type="text/plain"))
    app.add_url_rule("/readyz", "readyz", readyz)
    app.add_url_rule("/metrics", "metrics", _metrics)


def _metrics() -> Response:
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
