"""What is wrong is refused with a problem document, and nothing is stored."""

from collections.abc import Callable

import psycopg2
import pytest
import requests

from shop.processes import Shop

GOOD = {"product": "book", "quantity": 1, "customerEmail": "ada@example.com"}

BAD_BODIES = {
    "quantity missing": {"product": "book", "customerEmail": "ada@example.com"},
    "quantity null": {**GOOD, "quantity": None},
    "quantity zero": {**GOOD, "quantity": 0},
    "quantity negative": {**GOOD, "quantity": -5},
    "quantity huge": {**GOOD, "quantity": 1_000_001},
    "quantity beyond 64 bits": {**GOOD, "quantity": 10**30},
    "quantity as text": {**GOOD, "quantity": "3"},
    "quantity as fraction": {**GOOD, "quantity": 1.5},
    "quantity as truth": {**GOOD, "quantity": True},
    "product missing": {"quantity": 1, "customerEmail": "ada@example.com"},
    "product empty": {**GOOD, "product": " "},
    "product too long": {**GOOD, "product": "x" * 201},
    "product with a null byte": {**GOOD, "product": "a\0b"},
    "address without domain": {**GOOD, "customerEmail": "nope"},
    "address with a line break": {**GOOD, "customerEmail": "a@b.co\nBcc: c@d.co"},
    "address too long": {**GOOD, "customerEmail": "a" * 250 + "@b.co"},
    "a list": [GOOD],
    "nothing in it": {},
}


@pytest.fixture
def stored(shop: Shop) -> Callable[[], tuple[int, int]]:
    def count() -> tuple[int, int]:
        connection = psycopg2.connect(shop.databases["order"])
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT (SELECT count(*) FROM orders), (SELECT max(position) FROM event_log)"
            )
            row = cursor.fetchone()
        connection.close()
        assert row is not None
        return row[0], row[1] or 0

    return count


def _assert_problem(answer: requests.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert {"type", "title", "detail", "instance"} <= problem.keys()


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_order_is_refused_and_leaves_nothing(
    shop: Shop, stored: Callable[[], tuple[int, int]], body: object
) -> None:
    before = stored()
    _assert_problem(requests.post(shop.url("order"), json=body, timeout=10), 400)
    assert stored() == before


def test_the_problem_names_the_member_at_fault(shop: Shop) -> None:
    answer = requests.post(shop.url("order"), json={**GOOD, "quantity": -5}, timeout=10)
    assert answer.json()["errors"][0]["pointer"] == "/quantity"
    assert "-5" not in answer.text


@pytest.mark.parametrize("raw", [b'{"product":', b"", b"\xff\xfe", b"null"])
def test_what_is_not_an_order_in_json_is_refused(shop: Shop, raw: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = requests.post(shop.url("order"), data=raw, headers=headers, timeout=10)
    _assert_problem(answer, 400)


def test_another_content_type_is_refused(shop: Shop) -> None:
    answer = requests.post(shop.url("order"), data={"product": "x"}, timeout=10)
    _assert_problem(answer, 415)


def test_a_body_without_end_is_refused(shop: Shop) -> None:
    headers = {"Content-Type": "application/json"}
    body = b'{"product": "' + b"x" * 200_000 + b'"}'
    answer = requests.post(shop.url("order"), data=body, headers=headers, timeout=10)
    _assert_problem(answer, 413)


def test_a_line_that_the_server_does_not_read_to_its_end_is_refused(shop: Shop) -> None:
    _assert_problem(requests.get(shop.url("order", f"?product={'x' * 5_000}"), timeout=10), 414)


def test_a_wrong_method_is_told_the_right_ones(shop: Shop) -> None:
    answer = requests.delete(shop.url("order"), timeout=10)
    _assert_problem(answer, 405)
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize("service", ["order", "stock", "email"])
def test_an_unknown_path_is_a_problem_too(shop: Shop, service: str) -> None:
    _assert_problem(requests.get(shop.url(service, "/no/such/path"), timeout=10), 404)


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "after=x", "status=LOST"])
def test_a_bad_query_is_refused(shop: Shop, query: str) -> None:
    _assert_problem(requests.get(shop.url("order", f"?{query}"), timeout=10), 400)
