"""Each service answers as its OpenAPI document says, whatever schemathesis asks."""

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import allow_header_conformance

from servers.local import REPOSITORY
from shop.processes import Shop

Case = schemathesis.Case[Any]

DOCUMENTS = REPOSITORY / "docs" / "api"
# Repeatable where it is a gate; where there is time, something new each time.
GATE = settings(max_examples=40, derandomize=True, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=1_000, suppress_health_check=list(HealthCheck))

# A valid request may be refused: its Idempotency-Key belongs to another order, the stock does not
# suffice (400 since the seed). An invalid one may be too long to be looked at.
REFUSALS = {"expected-statuses": ["2xx", "404", "409", "422"]}
OUT_OF_STOCK = {"expected-statuses": ["2xx", "400", "404"]}
CONFIG = {
    "checks": {
        "positive_data_acceptance": REFUSALS,
        "negative_data_rejection": {"expected-statuses": ["400", "404", "405", "414", "415"]},
    },
    "operations": [
        {
            "include-path": "/api/v1/stock/reduce",
            "checks": {"positive_data_acceptance": OUT_OF_STOCK},
        }
    ],
}


def load(service: str) -> BaseSchema:
    config = schemathesis.Config.from_dict(CONFIG)
    return schemathesis.openapi.from_path(DOCUMENTS / f"{service}.openapi.json", config=config)


order = load("order")
stock = load("stock")
email = load("email")


@schemathesis.check
def every_error_is_a_problem_document(
    _: schemathesis.CheckContext, response: schemathesis.Response, __: Case
) -> None:
    if response.status_code >= 400:
        assert response.headers["content-type"] == ["application/problem+json"]


def ask(case: Case, shop: Shop, service: str) -> None:
    if isinstance(case.query.get("wait"), int | float):
        case.query["wait"] /= 1_000  # as a reader that has less time
    # GET is allowed on /stock/add too: a product may have that name.
    excluded = [allow_header_conformance] if service == "stock" else []
    base = f"http://127.0.0.1:{shop.ports[service]}"
    case.call_and_validate(base_url=base, excluded_checks=excluded)


@pytest.mark.parametrize("service", ["order", "stock", "email"])
def test_the_document_that_is_served_is_the_one_that_is_checked_in(
    shop: Shop, service: str
) -> None:
    served = requests.get(shop.url(service, "/openapi.json"), timeout=10)
    assert served.json() == {"order": order, "stock": stock, "email": email}[service].raw_schema


@order.parametrize()
@GATE
def test_order_answers_as_documented(case: Case, shop: Shop) -> None:
    ask(case, shop, "order")


@stock.parametrize()
@GATE
def test_stock_answers_as_documented(case: Case, shop: Shop) -> None:
    ask(case, shop, "stock")


@email.parametrize()
@GATE
def test_email_answers_as_documented(case: Case, shop: Shop) -> None:
    ask(case, shop, "email")


@pytest.mark.long
@pytest.mark.timeout(900)
@order.parametrize()
@LONG
def test_order_answers_as_documented_for_long(case: Case, shop: Shop) -> None:
    ask(case, shop, "order")


@pytest.mark.long
@pytest.mark.timeout(900)
@stock.parametrize()
@LONG
def test_stock_answers_as_documented_for_long(case: Case, shop: Shop) -> None:
    ask(case, shop, "stock")


@pytest.mark.long
@pytest.mark.timeout(900)
@email.parametrize()
@LONG
def test_email_answers_as_documented_for_long(case: Case, shop: Shop) -> None:
    ask(case, shop, "email")
