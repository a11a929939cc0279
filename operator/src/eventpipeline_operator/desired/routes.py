"""spec.ingress and the services' paths → the route from outside."""

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
    )
