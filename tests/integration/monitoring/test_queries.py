"""What dashboards and alerts ask for is what the running shop and the running Traefik tell."""

from collections.abc import Iterator
from functools import partial

import promql_parser
import pytest
import requests

from charts.queries import SCRAPED, Query, every_query
from servers.exposition import scrape
from servers.local import find_artifact
from servers.traefik import TraefikServer
from servers.waiting import wait_for
from shop.mailbox import Mailbox
from shop.processes import Shop

Told = dict[str, dict[str, set[str]]]
SHOPS = ("http_", "eventbus_", "email_", "traefik_")


@pytest.fixture(scope="module")
def queries() -> list[Query]:
    found = find_artifact("helm")
    if isinstance(found, str):
        pytest.skip(found)
    return every_query()


@pytest.fixture(scope="module")
def traefik(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TraefikServer]:
    binaries = find_artifact("traefik")
    if isinstance(binaries, str):
        pytest.skip(binaries)
    routes = {f"/api/v1/{service}": port for service, port in shop.ports.items()}
    server = TraefikServer(binaries, tmp_path_factory.mktemp("traefik"), routes)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def told(shop: Shop, mailbox: Mailbox, traefik: TraefikServer) -> Told:
    """Every page, after one order has gone all the way from the edge to its mail."""
    shop.add_stock("dashboard", 1)
    body = {"product": "dashboard", "quantity": 1, "customerEmail": "seen@example.com"}
    placed = requests.post(f"{traefik.url}/api/v1/order", json=body, timeout=10).json()
    shop.wait_for_status(placed["data"]["orderID"], "CONFIRMED")
    wait_for("the mail", partial(mailbox.to, "seen@example.com"))
    ports = [*shop.ports.values(), *shop.metrics_ports.values()]
    pages = [f"http://127.0.0.1:{port}/metrics" for port in ports] + [traefik.metrics_url]
    # A consumer tells its lag every five seconds.
    wait_for("the lag", lambda: "eventbus_consumer_lag" in scrape(pages), seconds=30)
    return scrape(pages)


def asked(queries: list[Query]) -> Iterator[tuple[str, str, set[str]]]:
    """Where, which series, by which labels, of what the shop and Traefik tell."""
    for query in queries:
        for name, labels in query.series().items():
            if name.startswith(SHOPS):
                yield query.where, name, labels


def test_every_series_is_told(queries: list[Query], told: Told) -> None:
    wanted = {(where, name) for where, name, _ in asked(queries)}
    assert len(wanted) > 30
    assert {(where, name) for where, name in wanted if name not in told} == set()


def test_every_label_is_told(queries: list[Query], told: Told) -> None:
    # What Prometheus adds in scraping is not on the page; `service` is Traefik's own.
    missing = {
        (where, name, label)
        for where, name, labels in asked(queries)
        for label in labels - SCRAPED - told.get(name, {}).keys()
    }
    assert missing == set()


def test_every_value_that_is_named_occurs(queries: list[Query], told: Told) -> None:
    """A misspelt outcome would leave an alert silent for ever."""
    missing = {
        (query.where, name, label, value)
        for query in queries
        for name, label, operator, value in query.matchers()
        if operator == promql_parser.MatchOp.Equal
        and name.startswith(SHOPS)
        and label not in SCRAPED
        and value not in told[name].get(label, set())
    }
    assert missing == set()


def test_a_worker_that_is_asked_for_openmetrics_answers_in_it(shop: Shop) -> None:
    port = next(iter(shop.metrics_ports.values()))
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    page = requests.get(f"http://127.0.0.1:{port}/metrics", headers=accept, timeout=10)
    assert page.headers["Content-Type"].startswith("application/openmetrics-text")
    assert page.text.endswith("# EOF\n")
