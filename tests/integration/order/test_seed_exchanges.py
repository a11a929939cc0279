"""A client of the seed keeps working: its recorded calls, replayed in their order.

Successful answers keep their members and types (more members are fine); faults of the seed become
problem documents.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from servers.waiting import wait_for
from shop.processes import Shop

EXCHANGES = json.loads((Path(__file__).parents[2] / "shop/exchanges.json").read_text())

# What differs on purpose, by the note of the exchange; everything else answers as recorded.
STATUS = {
    "a product never seen": 404,
    "place an order": 202,
    "order for a product nobody added (the seed invents 1000 pieces)": 202,
    "what it invented": 404,
    "negative quantity is accepted: a fault": 400,
    "not an address": 400,
}
NOT_OURS = {"unknown path"}  # no service's path: whoever routes answers


def _url(shop: Shop, path: str) -> str:
    service = path.split("/")[3]
    return shop.url(service, path.removeprefix(f"/api/v1/{service}"))


def _call(shop: Shop, request: dict[str, Any]) -> requests.Response:
    content = {"json": request["body"]} if "body" in request else {"data": request.get("raw")}
    headers = {}
    if "raw" in request:
        kind = "application/json" if request["raw"].startswith("{") else "text/plain"
        headers["Content-Type"] = kind
    url = _url(shop, request["path"])
    return requests.request(request["method"], url, headers=headers, timeout=10, **content)


def _assert_covers(recorded: Any, ours: Any, where: str = "") -> None:
    """Every member that a client may have read is there, with the same type."""
    if isinstance(recorded, dict):
        for name, value in recorded.items():
            assert name in ours, f"{where}/{name} is gone"
            _assert_covers(value, ours[name], f"{where}/{name}")
    elif isinstance(recorded, list):
        assert isinstance(ours, list)
        for item in ours:
            _assert_covers(recorded[0], item, f"{where}[]")
    else:
        assert isinstance(ours, type(recorded)), f"{where} is {type(ours).__name__}"


@pytest.mark.parametrize(
    "exchange", [e for e in EXCHANGES if e["note"] not in NOT_OURS], ids=lambda e: e["note"]
)
def test_a_recorded_call_is_answered_as_before_or_by_a_problem(
    shop: Shop, exchange: dict[str, Any]
) -> None:
    note, recorded = exchange["note"], exchange["response"]
    expected = STATUS.get(note, recorded["status"])
    if note == "the order took three pieces":
        wait_for("stock's decision", lambda: shop.stock_of("book-052a36") == 7)

    answer = _call(shop, exchange["request"])

    assert answer.status_code == expected, answer.text
    if expected < 400:
        assert answer.headers["Content-Type"] == "application/json"
        _assert_covers({**recorded["body"], "status": expected}, answer.json())
        assert answer.json()["status"] == expected
    else:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == expected
        assert "com.ubeydekara" not in answer.text


def test_messages_that_clients_may_compare_are_unchanged(shop: Shop) -> None:
    for note in ("add creates", "reduce below zero", "send a mail by hand"):
        (exchange,) = [e for e in EXCHANGES if e["note"].startswith(note)]
        answer = _call(shop, exchange["request"]).json()
        assert answer["message"] == exchange["response"]["body"]["message"]


def test_a_mail_by_hand_reads_as_before(shop: Shop) -> None:
    (exchange,) = [e for e in EXCHANGES if e["note"] == "send a mail by hand"]
    ours = _call(shop, exchange["request"]).json()["data"]
    recorded = exchange["response"]["body"]["data"]
    for member in ("subject", "body", "email_from", "email_to"):
        assert ours[member] == recorded[member]
