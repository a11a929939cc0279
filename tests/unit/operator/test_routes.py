"""What a route can be had with, and what an object is told where it cannot."""

import pytest

from eventpipeline_operator.api.observed import Fate
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.desired.records import RouteRecord, WorkloadRecord
from eventpipeline_operator.desired.routes import build_route, settle_route
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.queue import Outcome, Wake
from unit.operator.bodies import build_body, build_pipeline, build_spec
from unit.operator.fakes import World


def build(class_name: str | None = "nginx", **asked: object) -> RouteRecord:
    spec = build_spec()
    spec["ingress"].update(asked, className=class_name)
    route = build_route(build_pipeline(spec))
    assert route
    return route


LIMIT = {"requestsPerSecond": 10, "burst": 20}


def test_traefiks_class_keeps_everything() -> None:
    route = build("traefik", rateLimit=LIMIT, retries=1)
    assert settle_route(route, "traefik") == (route, None)


@pytest.mark.parametrize(
    ("class_name", "installed", "words"),
    [
        ("nginx", "traefik", "set spec.ingress.className to traefik"),
        (None, "traefik", "IngressClass (default)"),
        ("traefik", "", "traefikClass"),
    ],
)
def test_elsewhere_a_person_is_told(class_name: str, installed: str, words: str) -> None:
    route, problem = settle_route(build(class_name, rateLimit=LIMIT, retries=1), installed)
    assert route
    assert (route.rate_limit, route.retries) == (None, 0)
    assert problem
    assert (problem.reason, problem.fate) == (Reason.ROUTE_NOT_SUPPORTED, Fate.STALL)
    assert problem.message.startswith("spec.ingress.rateLimit and spec.ingress.retries: not")
    assert words in problem.message


def test_who_asks_for_neither_hears_nothing() -> None:
    route = build("nginx")
    assert settle_route(route, "") == (route, None)
    assert settle_route(None, "traefik") == (None, None)


async def test_the_rest_of_the_object_comes_to_be_all_the_same() -> None:
    world, spec = World(), build_spec()
    spec["ingress"]["retries"] = 2
    reconciler = Reconciler(world.ports, Settings(signing_key=b"key"))
    await reconciler.reconcile(build_body(spec), Wake.CHANGE)
    assert await reconciler.reconcile(build_body(spec), Wake.CHILD) is Outcome.STALLED
    assert world.status.condition("Stalled")["reason"] == Reason.ROUTE_NOT_SUPPORTED
    assert "route" in world.runtime.names(RouteRecord)
    assert "stock" in world.runtime.names(WorkloadRecord)
