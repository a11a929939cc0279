"""Which service answers, as a table of hosts and paths."""

import pytest

from eventpipeline_operator.adapters.local.routing import find_target
from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.desired.records import RouteRecord
from eventpipeline_operator.desired.routes import build_route


@pytest.mark.parametrize(
    ("host", "path", "service"),
    [
        ("shop.localhost", "/api/v1/order", "order"),
        ("shop.localhost:8088", "/api/v1/order/7", "order"),
        ("SHOP.localhost:9", "/api/v1/stock", "stock"),
        ("shop.localhost", "/api/v1/ordering", "stock"),
        ("shop.localhost", "/api", "stock"),
        ("127.0.0.1:8088", "/api/v1/order", "order"),
        ("shop.localhost", "/other", None),
        ("shop.localhost", "/", None),
    ],
)
def test_the_longest_path_of_the_host_answers(
    pipeline: EventPipeline, host: str, path: str, service: str | None
) -> None:
    route = build_route(pipeline)
    assert route
    found = find_target({pipeline.key: route}, host, path)
    assert (found[1] if found else None) == service


def test_of_several_pipelines_the_host_tells_which() -> None:
    routes = {
        Key("a", name): RouteRecord(f"{name}.localhost", (("/", "api", 80),))
        for name in ("one", "two")
    }
    assert find_target(routes, "two.localhost", "/x") == (Key("a", "two"), "api")
    assert find_target(routes, "127.0.0.1", "/x") is None
