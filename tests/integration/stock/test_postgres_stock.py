"""Stock in real Postgres, from many sides at once."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from eventbus.database import Database
from eventbus.identity import new_id
from eventbus.migrations import migrate
from servers.local import REPOSITORY
from servers.postgres import PostgresServer
from stock_service.adapters.postgres import PostgresShelf, PostgresStock
from stock_service.domain import Command, State
from stock_service.handlers import decide_batch


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[Database]:
    url = postgres.create_database("stock")
    migrate(REPOSITORY / "services/stock/src/stock_service/migrations", {"DATABASE_URL": url})
    database = Database(url, 8)
    yield database
    database.close()


@pytest.fixture
def product() -> str:
    return f"book-{secrets.token_hex(4)}"


def reserve(product: str, quantity: int = 1, order_id: str | None = None) -> Command:
    return Command(False, order_id or new_id(), product, quantity)


def decide(database: Database, *commands: Command) -> list[str]:
    with database.transaction() as cursor:
        decisions, _ = decide_batch(commands, PostgresShelf(cursor))
    return [reply.type for reply in decisions.replies]


def left(database: Database, product: str) -> int:
    row = PostgresStock(database).get(product)
    assert row is not None
    return row.quantity


def test_adding_twice_adds_up(database: Database, product: str) -> None:
    stock = PostgresStock(database)
    stock.add(product, 3)
    first = stock.get(product)
    stock.add(product, 4)
    second = stock.get(product)
    assert first is not None
    assert second is not None
    assert (first.stock_id, second.quantity) == (second.stock_id, 7)


def test_reducing_stops_at_nothing_left(database: Database, product: str) -> None:
    stock = PostgresStock(database)
    stock.add(product, 3)
    nothing = stock.reduce(product, 3)
    assert nothing is not None
    assert nothing.quantity == 0
    assert stock.reduce(product, 1) is None


def test_a_batch_is_written_as_it_was_decided(database: Database, product: str) -> None:
    PostgresStock(database).add(product, 3)
    first = reserve(product, 2)
    assert decide(database, first, reserve(product, 2)) == ["StockReserved", "StockRejected"]
    assert left(database, product) == 1
    with database.transaction() as cursor:
        known = PostgresShelf(cursor).reservations([first.order_id])
        assert known[first.order_id].state is State.RESERVED
        cursor.execute("SELECT count(*) FROM outbox WHERE subject = %s", [first.order_id])
        assert cursor.fetchone() == (1,)


def test_the_same_batch_again_changes_nothing(database: Database, product: str) -> None:
    PostgresStock(database).add(product, 5)
    commands = [reserve(product), reserve(product)]
    assert decide(database, *commands) == decide(database, *commands)
    assert left(database, product) == 3


def test_a_release_overtaking_its_reserve_survives_the_transaction(
    database: Database, product: str
) -> None:
    PostgresStock(database).add(product, 5)
    order_id = new_id()
    decide(database, Command(True, order_id, product, 1))
    assert decide(database, reserve(product, order_id=order_id)) == ["StockRejected"]
    assert left(database, product) == 5


def test_many_hands_never_take_more_than_there_is(database: Database, product: str) -> None:
    others = sorted(f"{product}-{n}" for n in range(3))
    stock = PostgresStock(database)
    for name in (product, *others):
        stock.add(name, 50)

    def take(number: int) -> int:
        if number % 2:
            return 1 if stock.reduce(product, 1) is not None else 0
        names = [product, *others] if number % 4 else [*others[::-1], product]
        replies = decide(database, *[reserve(name) for name in names])
        return replies[names.index(product)] == "StockReserved"

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(take, range(120)))
    assert taken == 50
    assert left(database, product) == 0
