"""spec.ingress and the services' paths → the route from outside, as far as it can be had."""

from dataclasses import replace

from eventpipeline_operator.api.observed import Fate, Problem
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.desired.records import RouteRecord


def build_route(pipeline: EventPipeline) -> RouteRecord | None:
    """One route for all paths, longest first; None without a host or without a path."""
    paths = [
        (path, service.name, service.port)
        for service in pipeline.services
        for path in service.paths
        if service.port
    ]
    if pipeline.ingress is None or not paths:
        return None
    return RouteRecord(
        host=pipeline.ingress.host,
        paths=tuple(sorted(paths, key=lambda p: (-len(p[0]), p[0]))),
        class_name=pipeline.ingress.class_name,
        tls_secret=pipeline.ingress.tls_secret,
        annotations=pipeline.ingress.annotations,
        rate_limit=pipeline.ingress.rate_limit,
        retries=pipeline.ingress.retries,
    )


def settle_route(
    route: RouteRecord | None, traefik_class: str
) -> tuple[RouteRecord | None, Problem | None]:
    """The route as far as it can be had: what an Ingress cannot say, only Traefik can be told."""
    if route is None or (traefik_class and route.class_name == traefik_class):
        return route, None
    asked = {"rateLimit": route.rate_limit, "retries": route.retries}
    fields = " and ".join(f"spec.ingress.{name}" for name, value in asked.items() if value)
    if not fields:
        return route, None
    way_out = (
        f"set spec.ingress.className to {traefik_class}"
        if traefik_class
        else "ask the operator's installer to name Traefik's class (traefikClass)"
    )
    problem = Problem(
        Reason.ROUTE_NOT_SUPPORTED,
        f"{fields}: not supported by IngressClass {route.class_name or '(default)'}: {way_out}, or "
        "remove it and say it in spec.ingress.annotations as your controller wants it",
        Fate.STALL,
    )
    return replace(route, rate_limit=None, retries=0), problem
