"""Which service answers a request: the Ingress's rules of host and path. Pure."""

from collections.abc import Iterable, Mapping

from eventpipeline_operator.api.types import Key
from eventpipeline_operator.desired.records import RouteRecord

Target = tuple[Key, str]


def find_target(routes: Mapping[Key, RouteRecord], host: str, path: str) -> Target | None:
    """The service of the longest path that fits, of the host's pipeline.

    A host that no route names is this machine by another name: it reaches the only pipeline.
    """
    named = {key: route for key, route in routes.items() if _same_host(route.host, host)}
    candidates = named or (routes if len(routes) == 1 else {})
    found = [
        (len(prefix), key, service)
        for key, route in candidates.items()
        for prefix, service, _ in route.paths
        if matches(prefix, path)
    ]
    if not found:
        return None
    _, key, service = max(found, key=lambda fit: fit[0])
    return key, service


def matches(prefix: str, path: str) -> bool:
    """Whether a path lies below a prefix, element by element, as pathType Prefix has it."""
    bare = prefix.rstrip("/")
    return not bare or path == bare or path.startswith(f"{bare}/")


def describe_paths(routes: Iterable[RouteRecord]) -> list[str]:
    """All paths that there are."""
    return sorted({path for route in routes for path, _, _ in route.paths})


def _same_host(declared: str, asked: str) -> bool:
    return declared.partition(":")[0].lower() == asked.partition(":")[0].lower()
