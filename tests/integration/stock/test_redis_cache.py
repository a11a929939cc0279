"""The stock cache in real Redis, and what is left of the service when Redis goes."""

import socket
import time
from collections.abc import Iterator

import pytest
import requests

from contracts.stock_cache import CacheContract, level
from servers.kafka import KafkaServer
from servers.postgres import PostgresServer
from servers.redis import RedisServer, find_redis
from servers.waiting import wait_for
from shop.mailbox import Mailbox
from shop.processes import Shop
from shop.running import running_shop
from stock_service.adapters.redis_cache import RedisCache
from stock_service.caching import CacheAway, GuardedCache


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    program = find_redis(tmp_path_factory.getbasetemp() / "redis")
    if isinstance(program, str):
        pytest.skip(program)
    server = RedisServer(program, tmp_path_factory.mktemp("redis-data"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def cache(redis: RedisServer, request: pytest.FixtureRequest) -> Iterator[RedisCache]:
    cache = RedisCache(redis.url, f"{request.node.nodeid}:", 30)
    yield cache
    cache.close()


class TestRedisCache(CacheContract):
    """The contract."""


def test_a_copy_is_gone_after_its_time(redis: RedisServer) -> None:
    cache = RedisCache(redis.url, "short:", 0.1)
    cache.offer([level(1)])
    wait_for("its end", lambda: cache.get("book") is None, seconds=5)
    cache.offer([level(1)])
    assert cache.get("book") == level(1)
    cache.close()


def test_something_else_under_the_name_is_not_taken_for_a_level(cache: RedisCache) -> None:
    cache._client.set(f"{cache._prefix}book", "hello")
    with pytest.raises(CacheAway, match="something else"):
        cache.get("book")


def test_nobody_who_listens_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        cache = RedisCache(f"redis://127.0.0.1:{taken.getsockname()[1]}/0", "x:", 30)
        with pytest.raises(CacheAway):
            cache.offer([level(1)])
        cache.close()


def test_one_who_listens_and_says_nothing_costs_three_short_waits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        cache = GuardedCache(RedisCache(url, "x:", 30))
        started = time.monotonic()
        assert [cache.get("book") for _ in range(100)] == [None] * 100
        assert time.monotonic() - started < 2
        cache.close()


def _start(shop: Shop) -> None:
    shop.start("order", "api")
    shop.start("order", "relay")
    shop.start("order", "consume")
    shop.start("stock", "api")
    shop.start("stock", "consume", "relay")
    shop.wait_until_ready()


@pytest.fixture(scope="module")
def cached_shop(
    postgres: PostgresServer,
    kafka: KafkaServer,
    mailbox: Mailbox,
    redis: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    settings = {"REDIS_URL": redis.url, "HTTP_PROCESSES": "1"}
    logs = tmp_path_factory.mktemp("cached-shop")
    with running_shop((postgres, kafka), mailbox, logs, _start, settings) as running:
        yield running


def reads(shop: Shop, outcome: str) -> float:
    metrics = requests.get(f"http://127.0.0.1:{shop.ports['stock']}/metrics", timeout=10).text
    name = f'stock_cache_reads_total{{outcome="{outcome}"}}'
    return sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(name))


def test_what_an_order_takes_is_seen_through_the_cache(
    cached_shop: Shop, product: str, customer: str
) -> None:
    cached_shop.add_stock(product, 10)
    assert cached_shop.stock_of(product) == 10
    cached_shop.wait_for_status(cached_shop.place(product, 3, customer), "CONFIRMED")
    wait_for("the new copy", lambda: cached_shop.stock_of(product) == 7, seconds=5)
    wait_for("hits", lambda: reads(cached_shop, "hit") >= 2)


def test_without_redis_every_answer_is_the_same(
    cached_shop: Shop, redis: RedisServer, product: str, customer: str
) -> None:
    cached_shop.add_stock(product, 10)
    redis.stop()
    try:
        cached_shop.add_stock(product, 5)
        assert [cached_shop.stock_of(product) for _ in range(20)] == [15] * 20
        order_id = cached_shop.place(product, 4, customer)
        cached_shop.wait_for_status(order_id, "CONFIRMED")
        assert cached_shop.stock_of(product) == 11
    finally:
        redis.start()  # and empty
    assert cached_shop.stock_of(product) == 11
