"""Order statistics: counted from the topic into Postgres, read as windows over HTTP."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
import requests

from eventbus.batch import BatchConsumer, ConsumerOptions
from eventbus.database import Database
from eventbus.envelope import Event, Outgoing, timestamp
from eventbus.inbox import PostgresInbox
from eventbus.memory import MemoryBroker, MemoryConsumer
from eventbus.migrations import migrate
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing
from order_service.__main__ import SERVICE
from order_service.adapters.statistics import PostgresStatistics
from order_service.domain import Status
from order_service.projection import MODELS, build_handler
from order_service.statistics import Cell, Tally, Windows, bucket_of
from servers.postgres import PostgresServer
from servers.waiting import wait_for
from shop.processes import Shop

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORDER = "00000000-0000-7000-8000-{:012x}"


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    url = postgres.create_database("statistics")
    migrate(SERVICE.migrations, {"DATABASE_URL": url})
    database = Database(url, 2)
    yield database
    database.close()


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create_topic("orders", 3)
    return broker


def tell(broker: MemoryBroker, number: int, at: datetime, kind: str = "OrderPlaced") -> None:
    order = ORDER.format(number)
    data = {"orderID": order, "product": "book", "quantity": 2, "version": 1}
    event = Event(kind, f"{order}:1", "/x", order, timestamp(at), orjson.dumps(data))
    broker.append(Outgoing("orders", order.encode(), event.data, event.to_headers()))


def read_on(broker: MemoryBroker, database: Database, limit: int = 500) -> None:
    """A member that reads what is there, in batches of a size, and leaves."""
    consumer = BatchConsumer(
        MemoryConsumer(broker, "stats"),
        PostgresInbox(database, "stats", {}),
        build_handler(timedelta(minutes=1)),
        ConsumerOptions(["orders"], MODELS, limit=limit),
        Tracing(None, 0),
    )
    turns = consumer.turns(threading.Event(), Heartbeat())
    while next(turns):
        pass
    turns.close()


def counts(database: Database) -> dict[int, Tally]:
    """By minute after noon."""
    windows = Windows.between(NOON, NOON + timedelta(hours=1), 1, 1)
    panes = PostgresStatistics(database).panes(windows, "book", 100)
    return {cell.start - bucket_of(NOON): tally for cell, tally in panes.items()}


def test_an_event_that_is_told_twice_or_read_again_is_counted_once(
    broker: MemoryBroker, database: Database
) -> None:
    for number in (1, 2, 3, 2, 1):
        tell(broker, number, NOON)
    read_on(broker, database, limit=2)
    with database.statement() as cursor:
        cursor.execute("UPDATE consumer_offset SET next_offset = 0")
    tell(broker, 4, NOON)
    read_on(broker, database)
    assert counts(database) == {0: Tally(4, 8)}


def test_late_events_are_counted_in_their_minute_and_noted(
    broker: MemoryBroker, database: Database
) -> None:
    broker.create_topic("orders", 1)
    tell(broker, 1, NOON + timedelta(minutes=9))
    read_on(broker, database)
    tell(broker, 2, NOON + timedelta(minutes=8))
    tell(broker, 3, NOON)
    read_on(broker, database)
    assert counts(database) == {0: Tally(1, 2, late=1), 8: Tally(1, 2), 9: Tally(1, 2)}


def test_an_event_without_a_time_is_put_aside(broker: MemoryBroker, database: Database) -> None:
    order = ORDER.format(1)
    data = orjson.dumps({"orderID": order, "product": "book", "quantity": 2, "version": 1})
    event = Event("OrderPlaced", "1", "/x", order, "", data)
    broker.append(Outgoing("orders", order.encode(), event.data, event.to_headers()))
    tell(broker, 2, NOON)
    read_on(broker, database)
    assert counts(database) == {0: Tally(1, 2)}
    with database.statement() as cursor:
        cursor.execute("SELECT cause FROM dead_letter")
        assert cursor.fetchall() == [("InvalidRecord: OrderPlaced: ce_time is no time",)]


def test_wide_windows_are_read_as_wide_panes(broker: MemoryBroker, database: Database) -> None:
    for minute in range(30):
        tell(broker, minute, NOON + timedelta(minutes=minute))
    read_on(broker, database)
    windows = Windows.between(NOON, NOON + timedelta(minutes=30), 15, 10)
    panes = PostgresStatistics(database).panes(windows, None, 100)
    assert panes == {
        Cell(bucket_of(NOON) + start, "book", Status.PENDING): Tally(5, 10)
        for start in range(0, 30, 5)
    }
    assert PostgresStatistics(database).counted_up_to() == NOON + timedelta(minutes=29)


def test_what_became_of_orders_is_counted_by_product_and_status(
    shop: Shop, product: str, customer: str
) -> None:
    shop.add_stock(product, 5)
    confirmed = shop.place(product, 5, customer)
    shop.wait_for_status(confirmed, "CONFIRMED")
    shop.wait_for_status(shop.place(product, 2, customer), "REJECTED")
    requests.post(shop.url("order", f"/{confirmed}/cancel"), timeout=10).raise_for_status()
    told = {"PENDING": (2, 7), "CONFIRMED": (1, 5), "REJECTED": (1, 2), "CANCELLED": (1, 5)}
    wait_for("the counts", lambda: shop.counted(product) == told)


def test_each_sliding_window_counts_the_order_that_lies_in_it(
    shop: Shop, product: str, customer: str
) -> None:
    shop.place(product, 1, customer)
    wait_for("the count", lambda: "PENDING" in shop.counted(product))
    now = datetime.now(UTC)
    query: dict[str, Any] = {"product": product, "window": 300, "slide": 60}
    query["from"] = (now - timedelta(minutes=10)).isoformat()
    answer = requests.get(shop.url("order", "/stats"), query, timeout=10).json()
    placed = [w for w in answer["data"]["windows"] if w["status"] == "PENDING"]
    assert [window["orders"] for window in placed] in ([1] * 5, [1] * 4)  # or it is a minute old
    assert answer["data"]["countedUpTo"] >= placed[-1]["start"]


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("window=61", 400, "/window"),
        ("window=0", 400, "/window"),
        ("slide=a", 400, "/slide"),
        ("from=yesterday", 400, "/from"),
        ("from=2026-01-01T00:00:00", 400, "/from"),
        ("window=60&slide=120", 422, "slide: "),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "from: "),
        ("to=1969-01-01T00:00:00Z", 422, "from: "),
        ("from=2020-01-01T00:00:00Z", 422, "That is more than 1000 windows"),
    ],
)
def test_a_bad_question_gets_a_problem_document(
    shop: Shop, query: str, status: int, detail: str
) -> None:
    answer = requests.get(shop.url("order", f"/stats?{query}"), timeout=10)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(detail)
