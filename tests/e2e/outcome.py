"""What became of the orders of some traffic, told by the shop itself and by the mail catcher."""

import re
from collections import Counter
from typing import Any

from e2e.catcher import caught_mails
from e2e.traffic import PLENTY, Traffic
from servers.waiting import wait_for

ONE_LIFE = {"OrderPlaced": 1, "OrderConfirmed": 1}
ORDER_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# A mail that a stopped sender had claimed is free again when its lease of two minutes is over.
MAIL_SECONDS = 240


def wait_until_settled(traffic: Traffic, shop: Any) -> None:
    """No order of this traffic waits for stock any more."""
    query = f"/api/v1/order?status=PENDING&limit=1&product={traffic.product}"
    wait_for(
        "a decision on every order",
        lambda: shop.call("GET", query).json()["data"] == [],
        seconds=90,
    )


def statuses(traffic: Traffic, shop: Any) -> dict[str, str]:
    """The status of each order of the product."""
    found: dict[str, str] = {}
    path = f"/api/v1/order?limit=1000&product={traffic.product}"
    while path:
        answer = shop.call("GET", path)
        found.update((order["orderID"], order["status"]) for order in answer.json()["data"])
        path = answer.links.get("next", {}).get("url", "")
    return found


def assert_each_order_was_handled_once(traffic: Traffic, shop: Any) -> None:
    """One outcome, one piece out of stock and one entry per event for each accepted order."""
    assert len(set(traffic.orders)) == len(traffic.orders)
    assert statuses(traffic, shop) == dict.fromkeys(traffic.orders, "CONFIRMED")
    left = shop.call("GET", f"/api/v1/stock/{traffic.product}").json()["data"]["quantity"]
    assert PLENTY - left == len(traffic.orders)
    lives = {}
    for order in traffic.orders:
        events = shop.call("GET", f"/api/v1/order/{order}/events").json()["data"]
        lives[order] = Counter(event["type"] for event in events)
    assert {order: life for order, life in lives.items() if life != ONE_LIFE} == {}


def mails_per_order(traffic: Traffic, mails: Any) -> Counter[str]:
    """How many mails the catcher accepted about each order."""
    return Counter(
        found.group()
        for mail in caught_mails(mails)
        if [to["address"] for to in mail["to"]] == [traffic.customer]
        and (found := ORDER_ID.search(mail["text"]))
    )


def assert_each_order_was_mailed_once(traffic: Traffic, mails: Any) -> None:
    """The ledger's every row is sent, and the catcher took each mail once."""
    wanted = set(traffic.orders)
    wait_for(
        "a mail about every order",
        lambda: wanted <= mails_per_order(traffic, mails).keys(),
        seconds=MAIL_SECONDS,
        interval=2,
    )
    counts = mails_per_order(traffic, mails)
    assert {order: count for order, count in counts.items() if count != 1} == {}
