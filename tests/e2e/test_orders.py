"""What customers are told through the Ingress; an order's way to its mail is in test_runtime.py."""

from collections.abc import Callable
from typing import Any

import pytest

from servers.waiting import wait_for

SettledOrder = Callable[[str, int], dict[str, Any]]


def test_an_order_for_an_unknown_product_is_refused(settled_order: SettledOrder) -> None:
    assert settled_order("nobody-ever-added-this", 1)["status"] == "REJECTED"


def test_what_became_of_orders_is_counted(
    settled_order: SettledOrder, stocked_product: str, shop: Any
) -> None:
    settled_order(stocked_product, 3)
    settled_order(stocked_product, 11)

    def counted() -> dict[str, tuple[int, int]]:
        path = f"/api/v1/order/stats?window=3600&product={stocked_product}"
        windows = shop.call("GET", path).json()["data"]["windows"]
        sums: dict[str, tuple[int, int]] = {}
        for each in windows:  # two, should the hour strike meanwhile
            orders, quantity = sums.get(each["status"], (0, 0))
            sums[each["status"]] = orders + each["orders"], quantity + each["quantity"]
        return sums

    told = {"PENDING": (2, 14), "CONFIRMED": (1, 3), "REJECTED": (1, 11)}
    wait_for("the counts", lambda: counted() == told)


GOOD = {"product": "book", "quantity": 1, "customerEmail": "ada@example.com"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({k: v for k, v in GOOD.items() if k != "quantity"}, id="missing quantity"),
        pytest.param({**GOOD, "quantity": -5}, id="negative quantity"),
        pytest.param({**GOOD, "quantity": 10**12}, id="huge quantity"),
        pytest.param({**GOOD, "customerEmail": "nope"}, id="bad address"),
        pytest.param({}, id="empty body"),
    ],
)
def test_a_bad_order_gets_a_problem_document(shop: Any, body: dict[str, Any]) -> None:
    answer = shop.call("POST", "/api/v1/order", body)
    assert 400 <= answer.status_code < 500
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert {"type", "title", "status", "detail"} <= set(answer.json())


def test_broken_json_gets_a_problem_document(shop: Any) -> None:
    answer = shop.call(
        "POST",
        "/api/v1/order",
        data='{"product":',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_a_bad_order_stores_nothing(shop: Any, stocked_product: str) -> None:
    shop.call("POST", "/api/v1/order", {**GOOD, "product": stocked_product, "quantity": 0})
    listed = shop.call("GET", "/api/v1/order").json()["data"]
    assert stocked_product not in [order["product"] for order in listed]
