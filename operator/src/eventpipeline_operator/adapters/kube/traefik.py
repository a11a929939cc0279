"""What an Ingress cannot say but Traefik's Middlewares can: rate limits and retries. Pure."""

from collections.abc import Iterable, Mapping

from eventpipeline_operator.adapters.kube.resources import Json
from eventpipeline_operator.desired.records import RouteRecord

ANNOTATION = "traefik.ingress.kubernetes.io/router.middlewares"
FIRST_PAUSE = "100ms"


def build_middlewares(route: RouteRecord) -> dict[str, Json]:
    """Specs of the Middlewares that a route needs, by the end of their names."""
    specs: dict[str, Json] = {}
    if route.rate_limit:
        limit = route.rate_limit
        average = {"average": limit.requests_per_second, "period": "1s", "burst": limit.burst}
        specs["rate-limit"] = {"rateLimit": average}
    if route.retries:  # Traefik counts the first try too
        retry = {"attempts": route.retries + 1, "initialInterval": FIRST_PAUSE}
        specs["retries"] = {"retry": retry}
    return specs


def annotate(given: Mapping[str, str], namespace: str, middlewares: Iterable[str]) -> Json:
    """The user's annotations, ours joined to those Middlewares that they name themselves."""
    ours = [f"{namespace}-{name}@kubernetescrd" for name in middlewares]
    theirs = given.get(ANNOTATION)
    chain = ",".join([*([theirs] if theirs else []), *ours])
    return {**given, **({ANNOTATION: chain} if chain else {})}
