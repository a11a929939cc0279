"""Orders that are placed at the same time share a statement, and nothing else."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import psycopg2
import pytest

from eventbus.database import Database
from eventbus.identity import new_id
from eventbus.migrations import migrate
from order_service.adapters.postgres import PostgresOrders
from order_service.domain import Order
from servers.local import REPOSITORY
from servers.postgres import PostgresServer

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
CROWD = 24


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    url = postgres.create_database("order")
    migrate(REPOSITORY / "services/order/src/order_service/migrations", {"DATABASE_URL": url})
    database = Database(url, 4)
    yield database
    database.close()


def new_order(number: int = 1) -> Order:
    email = f"customer-{number}@example.com"
    return Order(new_id(), 'it\'s a \\ "book"', number, email, datetime.now(UTC))


def announced(database: Database) -> list[tuple[str, str, str | None]]:
    with database.statement() as cursor:
        cursor.execute("SELECT subject, type, traceparent FROM outbox ORDER BY subject")
        return cursor.fetchall()


def test_an_order_is_stored_and_announced_as_it_was_placed(database: Database) -> None:
    orders, order = PostgresOrders(database), new_order()
    assert orders.place(order, None, TRACE)
    assert orders.get(order.id) == order
    assert announced(database) == [(order.id, "OrderPlaced", TRACE)]


def test_a_crowd_of_orders_is_stored_each_once(database: Database) -> None:
    """Half of them under keys that others use, too."""
    orders = PostgresOrders(database)
    crowd = [new_order(number + 1) for number in range(CROWD)]
    keys = [f"key-{number % 4}" if number % 2 else None for number in range(CROWD)]
    together = threading.Barrier(CROWD)

    def place(number: int) -> bool:
        together.wait(30)
        return orders.place(crowd[number], keys[number], None)

    with ThreadPoolExecutor(CROWD) as pool:
        placed = list(pool.map(place, range(CROWD)))
    stored = [order for order, kept in zip(crowd, placed, strict=True) if kept]
    under = Counter(key for key, kept in zip(keys, placed, strict=True) if kept)
    assert under == {None: CROWD // 2, "key-1": 1, "key-3": 1}
    assert all(orders.get(order.id) == order for order in stored)
    assert [row[0] for row in announced(database)] == sorted(order.id for order in stored)


def test_what_postgres_refuses_is_the_fault_of_one_order_alone(database: Database) -> None:
    orders = PostgresOrders(database)
    good, bad = [new_order() for _ in range(8)], replace(new_order(), quantity=0)
    together = threading.Barrier(9)

    def place(order: Order) -> bool:
        together.wait(30)
        return orders.place(order, None, None)

    with ThreadPoolExecutor(9) as pool:
        refused = pool.submit(place, bad)
        assert all(pool.map(place, good))
        with pytest.raises(psycopg2.IntegrityError):
            refused.result()
    assert len(announced(database)) == 8
