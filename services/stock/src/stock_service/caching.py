"""A read cache for stock that may be late, empty or gone, and what protects readers from it.

What is cached carries its version, so a copy that was read before a change and arrives after it
cannot take the newer one's place. The truth is in Postgres alone: nothing is decided by a copy, and
whoever finds none asks there.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from prometheus_client import Counter

from eventbus.clock import Clock, SystemClock

log = structlog.get_logger(__name__)

READS = Counter("stock_cache_reads_total", "Questions to the cache, by outcome", ["outcome"])


@dataclass(frozen=True, slots=True)
class Level:
    """What is left of one product; each change raises the version."""

    stock_id: str
    product: str
    quantity: int
    version: int


class Stock(Protocol):
    """Where the truth is; each change is committed when it answers."""

    def add(self, product: str, quantity: int) -> Level:
        """Add pieces; an unknown product begins with them."""
        ...

    def reduce(self, product: str, quantity: int) -> Level | None:
        """Take pieces away; None if there are not so many."""
        ...

    def get(self, product: str) -> Level | None:
        """What is left."""
        ...

    def page(self, after: str | None, limit: int) -> list[Level]:
        """By name."""
        ...


class CacheAway(Exception):
    """The cache did not answer in its short time, or not in its language."""


class Cache(Protocol):
    """Copies of levels."""

    def get(self, product: str) -> Level | None:
        """A copy, if there is one; may raise `CacheAway`."""
        ...

    def offer(self, levels: Sequence[Level]) -> None:
        """Keep copies where no newer one is; may raise `CacheAway`."""
        ...

    def close(self) -> None:
        """Give connections up."""
        ...


class NoCache:
    """For installations without one."""

    def get(self, product: str) -> Level | None:  # noqa: ARG002
        """Never."""
        return None

    def offer(self, levels: Sequence[Level]) -> None:
        """Nothing is kept."""

    def close(self) -> None:
        """Nothing is held."""


class Breaker:
    """Leaves something that fails alone for a while; then one may try, for all."""

    def __init__(self, failures: int = 3, rest: float = 5.0, clock: Clock | None = None) -> None:
        self._most = failures
        self._rest = rest
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._failures = 0
        self._next = 0.0

    def allows(self) -> bool:
        """Whether to ask."""
        if self._failures < self._most:
            return True
        with self._lock:
            now = self._clock.monotonic()
            if now < self._next:
                return False
            self._next = now + self._rest
            return True

    def succeeded(self) -> None:
        """It answered."""
        if self._failures:
            self._failures = 0

    def failed(self) -> bool:
        """It did not; answers whether it is left alone from now on."""
        with self._lock:
            self._failures += 1
            self._next = self._clock.monotonic() + self._rest
            return self._failures == self._most


class GuardedCache:
    """A cache whose failures nobody sees but the metrics."""

    def __init__(self, cache: Cache, breaker: Breaker | None = None) -> None:
        self._cache = cache
        self._breaker = breaker or Breaker()

    def get(self, product: str) -> Level | None:
        """A copy, if there is one to be had now."""
        if not self._breaker.allows():
            READS.labels("skipped").inc()
            return None
        try:
            level = self._cache.get(product)
        except CacheAway as error:
            self._note(error)
            READS.labels("failed").inc()
            return None
        self._breaker.succeeded()
        READS.labels("hit" if level else "miss").inc()
        return level

    def offer(self, levels: Sequence[Level]) -> None:
        """Keep copies, if that is to be had now; what is not kept is out of date soon."""
        if levels and self._breaker.allows():
            try:
                self._cache.offer(levels)
            except CacheAway as error:
                self._note(error)
            else:
                self._breaker.succeeded()

    def close(self) -> None:
        """As the cache."""
        self._cache.close()

    def _note(self, error: CacheAway) -> None:
        if self._breaker.failed():
            log.warning("cache.left_alone", cause=str(error))


class CachedStock:
    """Stock whose levels are read from copies where there are any."""

    def __init__(self, stock: Stock, cache: Cache) -> None:
        self._stock = stock
        self._cache = cache
        self.page = stock.page

    def add(self, product: str, quantity: int) -> Level:
        """The copy follows the commit."""
        level = self._stock.add(product, quantity)
        self._cache.offer([level])
        return level

    def reduce(self, product: str, quantity: int) -> Level | None:
        """As `add`."""
        level = self._stock.reduce(product, quantity)
        if level is not None:
            self._cache.offer([level])
        return level

    def get(self, product: str) -> Level | None:
        """A copy, or the truth and a copy of it for the next."""
        level = self._cache.get(product)
        if level is None:
            level = self._stock.get(product)
            if level is not None:
                self._cache.offer([level])
        return level
