"""An order through the real cluster: Ingress, three services, Kafka, Postgres, mail catcher."""

from collections.abc import Callable
from typing import Any

import pytest

from servers.waiting import wait_for

SettledOrder = Callable[[str, int], dict[str, Any]]


def mails_about(mails: Any, order_id: str) -> list[dict[str, Any]]:
    answer = mails.call("GET", "/api/email")
    if answer.status_code == 404:  # maildev 2 and 3 differ in the path, not in the answer
        answer = mails.call("GET", "/email")
    caught = answer.json()
    return [mail for mail in caught if order_id in str(mail.get("text", ""))]


def test_an_order_is_confirmed_by_stock_and_mailed_to_the_customer(
    settled_order: SettledOrder, stocked_product: str, shop: Any, mails: Any
) -> None:
    order = settled_order(stocked_product, 3)
    assert order["status"] == "CONFIRMED"
    left = shop.call("GET", f"/api/v1/stock/{stocked_product}").json()["data"]
    assert left["quantity"] == 7
    found = wait_for("the mail", lambda: mails_about(mails, order["orderID"]))
    assert [mail["subject"] for mail in found] == ["Order Created"]


def test_an_order_beyond_the_stock_is_refused_and_takes_nothing(
    settled_order: SettledOrder, stocked_product: str, shop: Any
) -> None:
    order = settled_order(stocked_product, 11)
    assert order["status"] == "REJECTED"
    left = shop.call("GET", f"/api/v1/stock/{stocked_product}").json()["data"]
    assert left["quantity"] == 10


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
