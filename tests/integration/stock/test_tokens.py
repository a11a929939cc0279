"""The stock service as a process that asks for tokens, and an issuer that changes its keys."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from servers.issuer import AUDIENCE, ISSUER, Issuer
from servers.kafka import KafkaServer
from servers.postgres import PostgresServer
from servers.waiting import wait_for
from shop.mailbox import Mailbox
from shop.processes import Shop
from shop.running import running_shop

ROLES = {"GET /api/v1/stock": "public", "*": ["storekeeper"]}


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    started = Issuer()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("guarded-shop")


@pytest.fixture(scope="module")
def guarded(
    postgres: PostgresServer, kafka: KafkaServer, mailbox: Mailbox, issuer: Issuer, logs: Path
) -> Iterator[Shop]:
    settings = {
        "AUTH_ISSUER": ISSUER,
        "AUTH_AUDIENCE": AUDIENCE,
        "AUTH_JWKS_URL": issuer.url,
        "AUTH_ROLES": json.dumps(ROLES),
        "AUTH_ROLES_CLAIM": "realm_access.roles",
        "LOG_LEVEL": "debug",
    }
    with running_shop((postgres, kafka), mailbox, logs, _start, settings) as running:
        yield running


def _start(shop: Shop) -> None:
    shop.start("stock", "api")
    shop.wait_until_ready()


def add(shop: Shop, product: str, token: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    body = {"product": product, "quantity": 3}
    return requests.post(shop.url("stock", "/add"), json=body, headers=headers, timeout=10)


def test_only_who_has_the_role_may_add_and_no_log_has_a_token(
    guarded: Shop, issuer: Issuer, logs: Path, product: str
) -> None:
    clerk = issuer.key.sign(realm_access={"roles": ["clerk"]})
    keeper = issuer.key.sign(realm_access={"roles": ["storekeeper"]})
    spoiled = keeper[:-8] + "AAAAAAAA"
    answers = [add(guarded, product, token).status_code for token in ("", spoiled, clerk, keeper)]
    assert answers == [401, 401, 403, 200]
    (listed,) = (
        each for each in requests.get(guarded.url("stock"), timeout=10).json()["data"]
        if each["product"] == product
    )  # fmt: skip
    assert listed["quantity"] == 3
    written = "".join(path.read_text() for path in logs.iterdir())
    assert not [
        t for t in (clerk, keeper, spoiled) if any(part in written for part in t.split("."))
    ]


def test_a_rotated_key_is_taken_by_the_running_service(
    guarded: Shop, issuer: Issuer, product: str
) -> None:
    claims = {"realm_access": {"roles": ["storekeeper"]}}
    assert add(guarded, product, issuer.key.sign(**claims)).status_code == 200
    issuer.rotate()
    token = issuer.key.sign(**claims)
    wait_for("the new key to count", lambda: add(guarded, product, token).status_code == 200)
