"""Reading stock through copies: never older than what a commit has shown, never in the way."""

import subprocess
import sys
from dataclasses import replace

import pytest

from contracts.stock_cache import CacheContract, level
from fakes.stock import MemoryCache
from fakes.time import FakeClock
from stock_service.caching import Breaker, CachedStock, GuardedCache, Level
from stock_service.config import StockSettings
from stock_service.consumer import build_handler
from stock_service.wiring import build_cache


class FakeStock:
    """One product whose every change raises its version."""

    def __init__(self) -> None:
        self.level = level(1)
        self.asked = 0

    def add(self, _product: str, quantity: int) -> Level:
        old = self.level
        self.level = replace(old, quantity=old.quantity + quantity, version=old.version + 1)
        return self.level

    def reduce(self, product: str, quantity: int) -> Level | None:
        return self.add(product, -quantity) if quantity <= self.level.quantity else None

    def get(self, product: str) -> Level | None:
        self.asked += 1
        return self.level if product == self.level.product else None

    def page(self, _after: str | None, _limit: int) -> list[Level]:
        return [self.level]


@pytest.fixture
def stock() -> FakeStock:
    return FakeStock()


@pytest.fixture
def cache() -> MemoryCache:
    return MemoryCache()


class TestMemoryCache(CacheContract):
    @pytest.fixture
    def cache(self) -> MemoryCache:
        return MemoryCache()


def test_the_second_reader_asks_the_database_no_more(stock: FakeStock, cache: MemoryCache) -> None:
    cached = CachedStock(stock, cache)
    assert [cached.get("book"), cached.get("book")] == [stock.level, stock.level]
    assert stock.asked == 1


def test_who_changes_stock_reads_the_change(stock: FakeStock, cache: MemoryCache) -> None:
    cached = CachedStock(stock, cache)
    cached.get("book")
    cached.add("book", 2)
    assert cached.get("book") == level(2, 7)
    cached.reduce("book", 6)
    assert cached.get("book") == level(3, 1)
    assert cached.reduce("book", 6) is None


def test_a_copy_that_was_read_before_a_change_comes_too_late(
    stock: FakeStock, cache: MemoryCache
) -> None:
    cached = CachedStock(stock, cache)
    slow_reader = stock.level
    cached.add("book", 2)
    cache.offer([slow_reader])
    assert cached.get("book") == level(2, 7)


def test_what_is_not_there_is_asked_for_each_time(stock: FakeStock, cache: MemoryCache) -> None:
    cached = CachedStock(stock, cache)
    assert [cached.get("pen"), cached.get("pen")] == [None, None]
    assert stock.asked == 2


def test_a_cache_that_is_away_changes_no_answer(stock: FakeStock, cache: MemoryCache) -> None:
    cache.away = True
    cached = CachedStock(stock, GuardedCache(cache, Breaker(clock=FakeClock())))
    cached.add("book", 2)
    assert [cached.get("book") for _ in range(20)] == [stock.level] * 20


def test_a_cache_that_fails_is_left_alone_and_tried_again_by_one(cache: MemoryCache) -> None:
    clock = FakeClock()
    guarded = GuardedCache(cache, Breaker(failures=3, rest=5.0, clock=clock))
    cache.away = True
    for _ in range(10):
        guarded.get("book")
    assert cache.asked == 3
    clock.seconds += 5
    for _ in range(10):
        guarded.get("book")
    assert cache.asked == 4
    cache.away = False
    clock.seconds += 5
    guarded.offer([level(1)])
    assert guarded.get("book") == level(1)


def test_a_failure_now_and_then_opens_nothing(cache: MemoryCache) -> None:
    guarded = GuardedCache(cache, Breaker(failures=3, clock=FakeClock()))
    for number in range(30):
        cache.away = number % 3 != 0
        guarded.get("book")
    assert cache.asked == 30


def test_copies_follow_the_commit_and_not_the_batch(
    cache: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stock_service.consumer.handle", lambda *_: [level(2)])
    then = build_handler(cache)(object(), [])  # type: ignore[arg-type]
    assert cache.levels == {}
    assert then is not None
    then()
    assert cache.levels == {"book": level(2)}


def test_without_an_address_there_is_no_cache_and_no_client_is_loaded() -> None:
    environ = {"DATABASE_URL": "postgresql://127.0.0.1/stock"}
    assert build_cache(StockSettings.from_env(environ)).get("book") is None
    unwanted = "sys.modules.keys() & {'redis', 'confluent_kafka'}"
    script = f"import sys, stock_service.app; sys.exit(len({unwanted}))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_the_address_is_a_secret() -> None:
    environ = {"DATABASE_URL": "x", "REDIS_URL": "redis://:secret@127.0.0.1/0"}
    assert "secret@" not in repr(StockSettings.from_env(environ))
