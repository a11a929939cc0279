"""The whole flow with real processes, real Postgres, real Kafka and a real SMTP server."""

import secrets
from typing import Any

import requests
from confluent_kafka import Consumer, Producer

from servers.waiting import wait_for
from shop.mailbox import Mailbox
from shop.processes import Shop


def test_an_order_is_confirmed_and_mailed(
    shop: Shop, mailbox: Mailbox, product: str, customer: str
) -> None:
    shop.add_stock(product, 10)
    order_id = shop.place(product, 3, customer)
    shop.wait_for_status(order_id, "CONFIRMED")
    (mail,) = wait_for("the mail", lambda: mailbox.to(customer))
    assert shop.stock_of(product) == 7
    assert mail["Subject"] == "Order Created"
    body = mail.get_body(("plain",))
    assert body is not None
    text = f"Your order {product} ({order_id}) has been successfully received."
    assert body.get_content().strip() == text


def test_an_order_beyond_the_stock_is_refused_and_the_customer_told(
    shop: Shop, mailbox: Mailbox, product: str, customer: str
) -> None:
    shop.add_stock(product, 2)
    refused = shop.wait_for_status(shop.place(product, 3, customer), "REJECTED")
    (mail,) = wait_for("the mail", lambda: mailbox.to(customer))
    assert refused["reason"] == "out of stock"
    assert mail["Subject"] == "Order Rejected"
    assert shop.stock_of(product) == 2


def test_an_order_for_an_unknown_product_is_refused(
    shop: Shop, product: str, customer: str
) -> None:
    refused = shop.wait_for_status(shop.place(product, 1, customer), "REJECTED")
    assert refused["reason"] == "unknown product"


def test_a_cancelled_order_gives_its_pieces_back(shop: Shop, product: str, customer: str) -> None:
    shop.add_stock(product, 5)
    order_id = shop.place(product, 5, customer)
    shop.wait_for_status(order_id, "CONFIRMED")
    answer = requests.post(shop.url("order", f"/{order_id}/cancel"), timeout=10)
    assert answer.json()["data"]["status"] == "CANCELLED"
    wait_for("the pieces to come back", lambda: shop.stock_of(product) == 5)


def test_what_happened_to_an_order_can_be_read(shop: Shop, product: str, customer: str) -> None:
    shop.add_stock(product, 5)
    order_id = shop.place(product, 1, customer)
    shop.wait_for_status(order_id, "CONFIRMED")

    def told() -> list[str]:
        answer = requests.get(shop.url("order", f"/{order_id}/events"), timeout=10).json()
        return [event["type"] for event in answer["data"]]

    wait_for("both events", lambda: told() == ["OrderPlaced", "OrderConfirmed"])


def test_a_poison_record_becomes_a_dead_letter_and_stops_nothing(
    shop: Shop, product: str, customer: str
) -> None:
    producer = Producer({"bootstrap.servers": shop.bootstrap_servers})
    for partition in range(6):
        producer.produce(
            shop.topic("stock-commands"),
            key=product,
            value=b'{"orderID": 1',
            partition=partition,
            headers=[("ce_id", b"1"), ("ce_source", b"/x"), ("ce_type", b"ReserveStock")],
        )
        producer.produce(shop.topic("stock-commands"), value=b"\xff\x00", partition=partition)
    assert producer.flush(10) == 0
    shop.add_stock(product, 1)
    order_id = shop.place(product, 1, customer)
    shop.wait_for_status(order_id, "CONFIRMED")

    consumer = Consumer(
        {
            "bootstrap.servers": shop.bootstrap_servers,
            "group.id": secrets.token_hex(4),
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([shop.dead_letters("stock")])
    causes: list[str] = []
    while len(causes) < 12:
        letter = consumer.poll(20)
        assert letter is not None
        headers: dict[str, Any] = dict(letter.headers() or [])
        causes.append(headers["dlq_cause"].decode())
    consumer.close()
    assert any(cause.startswith("ReserveStock: data") for cause in causes)
    assert any(cause.startswith("no CloudEvent") for cause in causes)


def test_killed_relays_and_consumers_lose_and_double_nothing(
    shop: Shop, mailbox: Mailbox, product: str
) -> None:
    shop.add_stock(product, 1_000)
    victims = ["order-relay-sweep", "stock-consume", "stock-relay", "order-consume-stats"]
    victims.append("email-consume-relay")
    customers = {}
    for number in range(200):
        customer = f"{product}-{number}@example.com"
        customers[shop.place(product, 1, customer)] = customer
        if number % 20 == 10:
            victim = victims[number // 20 % len(victims)]
            shop.kill(victim)
            shop.restart(victim)
    for order_id in customers:
        shop.wait_for_status(order_id, "CONFIRMED", seconds=90)
    wait_for("all mails", lambda: all(mailbox.to(customer) for customer in customers.values()))
    assert shop.stock_of(product) == 800
    told = {"PENDING": (200, 200), "CONFIRMED": (200, 200)}
    wait_for("the counts", lambda: shop.counted(product) == told)
    assert all(len(mailbox.to(customer)) == 1 for customer in customers.values())
