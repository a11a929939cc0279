"""Counting anew from the topic's beginning: beside the reader who lives, and in its place."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import orjson
import pytest

from eventbus import replay
from eventbus.batch import BatchConsumer, ConsumerOptions
from eventbus.consumer import Partition
from eventbus.database import Database
from eventbus.effects import Handler
from eventbus.envelope import Event, Outgoing, timestamp
from eventbus.errors import Crash
from eventbus.inbox import PostgresInbox
from eventbus.memory import MemoryBroker, MemoryConsumer
from eventbus.migrations import migrate
from eventbus.replay import Readers, Replay, ReplayInbox
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing
from order_service.__main__ import SERVICE
from order_service.adapters.statistics import PostgresGenerations
from order_service.projection import MODELS, build_handler
from servers.postgres import PostgresServer
from servers.waiting import wait_for
from shop.processes import Shop

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATENESS = timedelta(minutes=1)
numbers = count(1)


class Topic:
    """A topic in memory and two readers of it, on one real database."""

    def __init__(self, url: str) -> None:
        self.broker = MemoryBroker()
        self.broker.create_topic("orders", 3)
        self.database = Database(url, 4)
        self.generations = PostgresGenerations(self.database)
        self.first = self.consumer("stats", build_handler(LATENESS))
        self.turns = self.first.turns(threading.Event(), Heartbeat())
        self.whole = True

    def partitions(self) -> Sequence[Partition]:
        topic = self.broker._topics["orders"]
        return [Partition("orders", n, topic.id) for n in range(len(topic.partitions))]

    def begins_at(self) -> int:
        return 0 if self.whole else 7

    def consumer(
        self, group: str, handler: Handler, readers: Readers | None = None
    ) -> BatchConsumer:
        inbox = PostgresInbox(self.database, group, {})
        return BatchConsumer(
            MemoryConsumer(self.broker, group),
            ReplayInbox(inbox, readers) if readers else inbox,
            handler,
            ConsumerOptions(["orders"], MODELS, limit=20),
            Tracing(None, 0),
        )

    def tell(self, orders: int = 1, minute: int = 0) -> None:
        for _ in range(orders):
            order = f"00000000-0000-7000-8000-{next(numbers):012x}"
            data = {"orderID": order, "product": "book", "quantity": 2, "version": 1}
            at = timestamp(NOON + timedelta(minutes=minute))
            event = Event("OrderPlaced", f"{order}:1", "/x", order, at, orjson.dumps(data))
            self.broker.append(Outgoing("orders", order.encode(), event.data, event.to_headers()))

    def read_on(self) -> None:
        while next(self.turns):
            pass

    def rebuild(self, meanwhile: Callable[[], None] = lambda: None) -> bool:
        generation = self.generations.begin()
        readers = Readers("orders", "stats", f"stats.rebuild.{generation}")
        counting = build_handler(LATENESS, generation)

        def handle(cursor: Any, messages: Any) -> None:
            counting(cursor, messages)
            meanwhile()

        second = Replay(
            self.consumer(readers.second, handle, readers),
            self.database,
            readers,
            self,
            lambda cursor: self.generations.switch(cursor, generation),
        )
        return second.run(threading.Event(), Heartbeat())

    def counted(self) -> list[tuple[Any, ...]]:
        """Minute, orders, pieces and late ones, as readers see them."""
        return self.rows(
            "SELECT extract(minute FROM bucket)::int, orders::int, quantity::int, late::int"
            " FROM stats_bucket JOIN stats_generation USING (generation) WHERE live ORDER BY 1"
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.statement() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def topic(postgres: PostgresServer) -> Iterator[Topic]:
    url = postgres.create_database("rebuild")
    migrate(SERVICE.migrations, {"DATABASE_URL": url})
    topic = Topic(url)
    yield topic
    topic.database.close()


def test_what_is_counted_anew_is_what_was_counted(topic: Topic) -> None:
    for minute in (0, 5, 1, 9, 2):
        topic.tell(30, minute)
    topic.read_on()
    before = topic.counted()
    assert topic.rebuild()
    assert topic.counted() == before
    assert sum(late for *_, late in before) > 0


def test_a_count_that_was_wrong_is_mended_and_nobody_sees_it_half_done(topic: Topic) -> None:
    topic.tell(100)
    topic.read_on()
    topic.rows("UPDATE stats_bucket SET orders = orders + 7")
    seen: list[Any] = []
    assert topic.rebuild(meanwhile=lambda: seen.append(topic.counted()))
    assert len(seen) > 2
    assert all(each == [(0, 107, 200, 0)] for each in seen)
    assert topic.counted() == [(0, 100, 200, 0)]


def test_the_reader_who_lives_goes_on_from_where_the_other_stood(topic: Topic) -> None:
    topic.tell(50)
    topic.read_on()
    topic.tell(30)  # the second reads these, the first has not yet
    assert topic.rebuild()
    assert topic.counted() == [(0, 80, 160, 0)]
    topic.read_on()
    topic.tell(5)
    topic.read_on()
    assert topic.counted() == [(0, 85, 170, 0)]


def test_orders_that_come_meanwhile_are_counted_once(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "NEAR", 0)  # one thread: the first reader must not be held
    topic.tell(100)
    topic.read_on()
    left = iter(range(8))

    def meanwhile() -> None:
        if next(left, None) is not None:
            topic.tell(10, minute=1)
            topic.read_on()

    assert topic.rebuild(meanwhile)
    topic.read_on()
    assert topic.counted() == [(0, 100, 200, 0), (1, 80, 160, 0)]


def test_one_that_ended_in_the_middle_changes_nothing_and_is_continued(topic: Topic) -> None:
    topic.tell(100)
    topic.read_on()
    topic.rows("UPDATE stats_bucket SET orders = 1")
    batches: list[int] = []

    def die() -> None:
        batches.append(1)
        if len(batches) == 3:
            raise Crash("as a power cut would")

    with pytest.raises(Crash, match="power cut"):
        topic.rebuild(die)
    assert topic.counted() == [(0, 1, 200, 0)]
    topic.tell(1)
    topic.read_on()
    assert topic.counted() == [(0, 2, 202, 0)]
    assert topic.rebuild(lambda: batches.append(1))
    assert topic.counted() == [(0, 101, 202, 0)]
    assert len(batches) == 3 + 4  # two of six were kept


def test_what_it_replaced_is_swept(topic: Topic) -> None:
    topic.tell(30)
    topic.read_on()
    assert topic.rebuild()
    assert topic.generations.sweep() == 30 + 1 + 3
    assert topic.rows("SELECT count(DISTINCT generation) FROM stats_counted") == [(1,)]
    assert topic.rows("SELECT count(*) FROM consumer_offset") == [(3,)]


def test_a_partition_that_the_first_reader_never_saw_is_handed_over_too(topic: Topic) -> None:
    topic.tell(20)
    assert topic.rebuild()
    topic.read_on()
    assert topic.counted() == [(0, 20, 40, 0)]


def test_a_history_without_its_beginning_is_not_read_anew(topic: Topic) -> None:
    topic.whole = False
    with pytest.raises(Crash, match="beginning"):
        topic.rebuild()


def test_nor_is_a_topic_that_was_made_anew(topic: Topic) -> None:
    topic.tell(3)
    topic.read_on()
    topic.broker.create_topic("orders", 3)
    with pytest.raises(Crash, match="beginning"):
        topic.rebuild()


def test_what_the_first_reader_put_aside_is_not_put_aside_again(topic: Topic) -> None:
    topic.broker.append(Outgoing("orders", b"key", b"\xff", ()))
    topic.read_on()
    topic.broker.append(Outgoing("orders", b"key", b"\xfe", ()))
    assert topic.rebuild()
    topic.read_on()
    letters = topic.rows("SELECT consumer_group, value FROM dead_letter ORDER BY id")
    assert [(group, bytes(value)) for group, value in letters] == [
        ("stats", b"\xff"),
        ("stats.rebuild.2", b"\xfe"),
    ]


def test_only_one_rebuild_is_under_way(topic: Topic) -> None:
    with topic.generations.alone() as mine, topic.generations.alone() as another:
        assert (mine, another) == (True, False)


def test_the_shop_counts_anew_while_orders_come_and_after_a_kill(
    shop: Shop, product: str, customer: str
) -> None:
    shop.add_stock(product, 1_000)
    for _ in range(20):
        shop.place(product, 1, customer)
    wait_for("the counts", lambda: shop.counted(product).get("CONFIRMED") == (20, 20))
    shop.start("order", "stats-rebuild")
    shop.kill("order-stats-rebuild")
    shop.start("order", "stats-rebuild")
    for _ in range(20):
        shop.place(product, 1, customer)
    process = shop.processes.pop("order-stats-rebuild")
    assert process.wait(60) == 0, (shop.logs / "order-stats-rebuild.log").read_text()
    told = {"PENDING": (40, 40), "CONFIRMED": (40, 40)}
    wait_for("the counts", lambda: shop.counted(product) == told)
