"""Records that nobody can handle: each consumer puts them aside with a cause and goes on."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg2
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from servers.waiting import wait_for
from shop.mailbox import Mailbox
from shop.processes import CONSUMES, Shop

PARTITIONS = 6
TYPE = {"order": "StockReserved", "stock": "ReserveStock", "email": "OrderConfirmed"}
HUGE = 3_000_000  # more than a producer may send, if it does not shrink on the way
TOO_LARGE = "{}: data: Input should"

Headers = list[tuple[str, bytes]]


def headers(service: str, **changed: bytes) -> Headers:
    """Those of a good event, but for what is changed."""
    good = {"ce_id": b"1", "ce_source": b"/x", "ce_type": TYPE[service].encode()}
    return list({**good, **changed}.items())


def poisons(service: str) -> dict[str, tuple[bytes | None, Headers]]:
    """Value and headers of each poison, by how its cause begins."""
    kind = TYPE[service]
    return {
        f"{kind}: data: Invalid JSON": (b'{"orderID": 1', headers(service)),
        f"{kind}: orderID": (b"{}", headers(service)),
        "no CloudEvent: ce_id, ce_source, ce_type missing": (b"\xff\x00", []),
        "the record has no value": (None, headers(service)),
        "a header is not text": (b"{}", headers(service, ce_id=b"\xff")),
        "CloudEvents version \ufffd is not": (b"{}", headers(service, ce_specversion=b"\x00")),
        f"data version 2 of {kind} is not": (b"{}", headers(service, ce_dataversion=b"2.0")),
        TOO_LARGE.format(kind): (b'"' + b"x" * HUGE + b'"', headers(service)),
    }


def send(shop: Shop, service: str, records: list[tuple[bytes | None, Headers]]) -> None:
    """Each of them to every partition of what the service consumes."""
    options = {"message.max.bytes": 2 * HUGE, "compression.type": "lz4"}
    producer = Producer({"bootstrap.servers": shop.bootstrap_servers, **options})
    for partition in range(PARTITIONS):
        for value, carried in records:
            producer.produce(
                shop.topic(CONSUMES[service][0]),
                value=value,
                key=b"key",
                headers=list(carried),
                partition=partition,
            )
    assert producer.flush(20) == 0


def goes_to_the_end(consumer: Consumer) -> bool:
    """`latest` is looked up with the first fetch, when a letter may have come already."""
    for each in consumer.assignment():
        _, end = consumer.get_watermark_offsets(each)
        consumer.seek(TopicPartition(each.topic, each.partition, end))
    return True


@pytest.fixture
def letters(shop: Shop) -> Iterator[Callable[[str, int], list[Any]]]:
    """The next so many records of a service's dead-letter topic, from now on."""
    consumers = {}
    for service in CONSUMES:
        options = {"bootstrap.servers": shop.bootstrap_servers, "auto.offset.reset": "latest"}
        consumer = Consumer({**options, "group.id": secrets.token_hex(4)})
        consumer.subscribe([shop.dead_letters(service)])
        wait_for("an assignment", partial(assigned, consumer))
        wait_for("a place at the end", partial(goes_to_the_end, consumer))
        consumers[service] = consumer

    def take(service: str, count: int) -> list[Any]:
        taken: list[Any] = []
        while len(taken) < count:
            letter = consumers[service].poll(20)
            assert letter is not None, f"{len(taken)} of {count} letters came"
            assert letter.error() is None
            taken.append(letter)
        return taken

    yield take
    for consumer in consumers.values():
        consumer.close()


def assigned(consumer: Consumer) -> list[Any]:
    consumer.poll(0.1)  # nothing of the past comes: it begins at the end
    return consumer.assignment()


def causes(letters: list[Any], service: str) -> Counter[str]:
    """How many letters there are for each poison."""
    found = [dict(letter.headers())["dlq_cause"].decode() for letter in letters]
    known = poisons(service)
    return Counter(
        next((begin for begin in known if cause.startswith(begin)), cause) for cause in found
    )


@pytest.mark.parametrize("service", CONSUMES)
def test_poison_becomes_dead_letters_with_a_cause_and_stops_no_partition(
    shop: Shop,
    mailbox: Mailbox,
    letters: Callable[[str, int], list[Any]],
    service: str,
) -> None:
    known = poisons(service)
    last = newest_letter(shop, service)
    send(shop, service, list(known.values()))
    put_aside = letters(service, len(known) * PARTITIONS)
    assert causes(put_aside, service) == dict.fromkeys(known, PARTITIONS)
    assert all(len(letter.value() or b"") < HUGE for letter in put_aside)
    serve_orders(shop, mailbox)

    redrive_after(shop, service, last)
    del known[TOO_LARGE.format(TYPE[service])]
    again = letters(service, len(known) * PARTITIONS)
    assert causes(again, service) == dict.fromkeys(known, PARTITIONS)
    serve_orders(shop, mailbox)


def serve_orders(shop: Shop, mailbox: Mailbox) -> None:
    """One order through every partition of every topic, most likely."""
    placed = {}
    for _ in range(3 * PARTITIONS):
        name = secrets.token_hex(4)
        shop.add_stock(name, 1)
        placed[name] = shop.place(name, 1, f"{name}@example.com")
    for name, order_id in placed.items():
        shop.wait_for_status(order_id, "CONFIRMED")
        wait_for(f"the mail of {order_id}", partial(mailbox.to, f"{name}@example.com"))


@pytest.mark.parametrize("service", CONSUMES)
def test_a_type_that_is_not_known_is_passed_over(
    shop: Shop, mailbox: Mailbox, service: str
) -> None:
    before = newest_letter(shop, service)
    send(shop, service, [(b"{}", headers(service, ce_type=b"CameLater"))])
    serve_orders(shop, mailbox)
    assert newest_letter(shop, service) == before


def ids_after(shop: Shop, service: str, last: int) -> list[int]:
    """The dead letters that came after one of them."""
    connection = psycopg2.connect(shop.databases[service])
    cursor = connection.cursor()
    cursor.execute("SELECT id FROM dead_letter WHERE id > %s ORDER BY id", [last])
    ids = [row[0] for row in cursor]
    connection.close()
    return ids


def newest_letter(shop: Shop, service: str) -> int:
    return max(ids_after(shop, service, 0), default=0)


def redrive_after(shop: Shop, service: str, last: int) -> None:
    """Those of this test, and none of another's."""
    shop.run(service, "redrive", *map(str, ids_after(shop, service, last)))


# What stands in the way of one order, and of no other: rows that break it are the record's fault.
OBSTACLES = {
    "order": ("orders", "product <> '{product}' OR status = 'PENDING'"),
    "stock": ("reservation", "product <> '{product}'"),
    "email": ("mail", "email_to <> '{product}@example.com'"),
}


@contextmanager
def obstacle(shop: Shop, service: str, product: str) -> Iterator[None]:
    table, condition = OBSTACLES[service]
    connection = psycopg2.connect(shop.databases[service])
    connection.autocommit = True
    cursor = connection.cursor()
    check = condition.format(product=product)
    cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT obstacle CHECK ({check})")
    yield
    cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT obstacle")
    connection.close()


@pytest.mark.parametrize("service", CONSUMES)
def test_a_letter_whose_cause_was_mended_has_its_effect_after_the_redrive(
    shop: Shop,
    mailbox: Mailbox,
    letters: Callable[[str, int], list[Any]],
    product: str,
    service: str,
) -> None:
    shop.add_stock(product, 1)
    last = newest_letter(shop, service)
    with obstacle(shop, service, product):
        order_id = shop.place(product, 1, f"{product}@example.com")
        (letter,) = letters(service, 1)
        assert b"obstacle" in dict(letter.headers())["dlq_cause"]
        serve_orders(shop, mailbox)
    redrive_after(shop, service, last)
    shop.wait_for_status(order_id, "CONFIRMED")
    (mail,) = wait_for("the mail", lambda: mailbox.to(f"{product}@example.com"))
    assert mail["Subject"] == "Order Created"
    assert shop.stock_of(product) == 0
