"""A small installation: one `worker` process per service, and orders that nobody decides about."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from servers.kafka import KafkaServer
from servers.postgres import PostgresServer
from servers.waiting import wait_for
from shop.mailbox import Mailbox
from shop.processes import CONSUMES, Shop
from shop.running import running_shop


@pytest.fixture(scope="module")
def small_shop(
    postgres: PostgresServer,
    kafka: KafkaServer,
    mailbox: Mailbox,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    settings = {
        "SWEEP_INTERVAL_SECONDS": "0.2",
        "SWEEP_REMIND_SECONDS": "1",
        "SWEEP_CANCEL_SECONDS": "4",
        "DRAIN_SECONDS": "3",
    }
    logs = tmp_path_factory.mktemp("small-shop")
    with running_shop((postgres, kafka), mailbox, logs, _start, settings) as running:
        yield running


def _start(shop: Shop) -> None:
    for service in CONSUMES:
        shop.start(service, "api")
        shop.start(service, "worker")
    shop.wait_until_ready()


def test_one_process_per_service_serves_an_order(
    small_shop: Shop, mailbox: Mailbox, product: str, customer: str
) -> None:
    small_shop.add_stock(product, 3)
    small_shop.wait_for_status(small_shop.place(product, 3, customer), "CONFIRMED")
    wait_for("the mail", lambda: mailbox.to(customer))


def test_an_order_that_nobody_decides_about_is_cancelled_and_gives_back(
    small_shop: Shop, mailbox: Mailbox, product: str, customer: str
) -> None:
    small_shop.add_stock(product, 3)
    assert small_shop.stop("stock-worker") == 0
    order_id = small_shop.place(product, 3, customer)
    cancelled = small_shop.wait_for_status(order_id, "CANCELLED")
    assert cancelled["reason"] == "stock did not decide in time"
    small_shop.start("stock", "worker")
    other = small_shop.place(product, 3, f"other-{customer}")
    small_shop.wait_for_status(other, "CONFIRMED")
    (mail,) = wait_for("the mail", lambda: mailbox.to(customer))
    assert mail["Subject"] == "Order Cancelled"
    assert small_shop.stock_of(product) == 0


def test_metrics_survive_the_death_of_one_process(small_shop: Shop) -> None:
    base = f"http://127.0.0.1:{small_shop.ports['stock']}"
    for _ in range(20):
        requests.get(small_shop.url("stock"), timeout=5)
    parent = small_shop.processes["stock-api"].pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGTERM)
    wait_for("its end", lambda: not Path(f"/proc/{children[0]}").exists())
    metrics = requests.get(f"{base}/metrics", timeout=10)
    assert metrics.status_code == 200
    assert 'http_requests_total{method="GET",route="/api/v1/stock"' in metrics.text


def test_a_stopping_api_answers_on_but_sends_its_clients_away(small_shop: Shop) -> None:
    base = f"http://127.0.0.1:{small_shop.ports['email']}"
    client = requests.Session()
    assert client.get(small_shop.url("email"), timeout=5).headers["Connection"] != "close"
    process = small_shop.processes.pop("email-api")
    process.terminate()
    wait_for("the drain", lambda: requests.get(f"{base}/readyz", timeout=5).status_code == 503)
    answer = client.get(small_shop.url("email"), timeout=5)
    assert answer.status_code == 200
    assert answer.headers["Connection"] == "close"
    assert process.wait(30) == 0
