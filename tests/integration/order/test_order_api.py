"""The order API beyond the seed: keys, pages, cancelling, feed, documentation."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from servers.waiting import wait_for
from shop.processes import Shop


def _post(shop: Shop, product: str, key: str, quantity: int = 1) -> requests.Response:
    body = {"product": product, "quantity": quantity, "customerEmail": "ada@example.com"}
    return requests.post(shop.url("order"), json=body, headers={"Idempotency-Key": key}, timeout=10)


def test_the_same_key_is_the_same_order(shop: Shop, product: str) -> None:
    key = secrets.token_hex(8)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: _post(shop, product, key), range(16)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["data"]["orderID"] for answer in answers}) == 1


def test_the_same_key_for_another_order_is_refused(shop: Shop, product: str) -> None:
    key = secrets.token_hex(8)
    _post(shop, product, key)
    answer = _post(shop, product, key, quantity=2)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_pages_follow_each_other_without_gap_or_repetition(shop: Shop, product: str) -> None:
    placed = [shop.place(product, 1, "ada@example.com") for _ in range(5)]
    url = shop.url("order", f"?product={product}&limit=2")
    seen: list[str] = []
    while url:
        answer = requests.get(url, timeout=10)
        seen += [order["orderID"] for order in answer.json()["data"]]
        path = answer.links.get("next", {}).get("url", "")
        url = path and shop.url("order", path.removeprefix("/api/v1/order"))
    assert seen == placed[::-1]


def test_orders_are_found_by_status(shop: Shop, product: str) -> None:
    order_id = shop.place(product, 1, "ada@example.com")
    shop.wait_for_status(order_id, "REJECTED")
    query = f"?product={product}&status="
    rejected = requests.get(shop.url("order", f"{query}REJECTED"), timeout=10).json()["data"]
    confirmed = requests.get(shop.url("order", f"{query}CONFIRMED"), timeout=10).json()["data"]
    assert [order["orderID"] for order in rejected] == [order_id]
    assert confirmed == []


def test_a_rejected_order_cannot_be_cancelled(shop: Shop, product: str) -> None:
    order_id = shop.place(product, 1, "ada@example.com")
    shop.wait_for_status(order_id, "REJECTED")
    answer = requests.post(shop.url("order", f"/{order_id}/cancel"), timeout=10)
    assert answer.status_code == 409


@pytest.mark.parametrize("path", ["", "/events", "/cancel"])
def test_an_order_that_is_not_there_is_not_found(shop: Shop, path: str) -> None:
    url = shop.url("order", f"/00000000-0000-7000-8000-000000000000{path}")
    method = "POST" if path == "/cancel" else "GET"
    assert requests.request(method, url, timeout=10).status_code == 404


def test_a_reader_of_the_feed_is_woken_by_news(shop: Shop, product: str) -> None:
    def end_of_feed() -> int:
        position = 0
        while events := _feed(shop, after=position, limit=1000):
            position = events[-1]["position"]
        return position

    wait_for("the relay to be idle", lambda: end_of_feed() == end_of_feed())
    position = end_of_feed()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_feed, shop, after=position, wait=20)
        order_id = shop.place(product, 1, "ada@example.com")
        events = waiting.result()
    assert events[0]["data"]["orderID"] == order_id
    assert events[0]["position"] > position


def _feed(shop: Shop, **query: int) -> list[dict[str, Any]]:
    answer = requests.get(shop.url("order", "/events"), params=query, timeout=30)
    events: list[dict[str, Any]] = answer.json()["data"]
    return events


@pytest.mark.parametrize("service", ["order", "stock", "email"])
def test_every_service_documents_itself(shop: Shop, service: str) -> None:
    document = requests.get(shop.url(service, "/openapi.json"), timeout=10).json()
    page = requests.get(shop.url(service, "/docs"), timeout=10)
    assert document["openapi"] == "3.1.0"
    assert f"/api/v1/{service}" in document["paths"]
    assert page.headers["Content-Type"].startswith("text/html")
    assert "://" not in page.text, "the page needs no other server"


@pytest.mark.parametrize("service", ["order", "stock", "email"])
def test_metrics_of_all_processes_are_served_together(shop: Shop, service: str) -> None:
    requests.get(shop.url(service), timeout=10)
    base = f"http://127.0.0.1:{shop.ports[service]}"
    metrics = requests.get(f"{base}/metrics", timeout=10).text
    assert "http_requests_total{" in metrics
