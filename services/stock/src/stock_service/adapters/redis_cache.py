"""The cache in Redis (or Valkey): one string per product, `<version>:<id>:<quantity>`.

Imported only where `REDIS_URL` is set. Time is short: a question that Redis does not answer at once
is answered by Postgres.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stock_service.caching import CacheAway, Level

ANSWER_SECONDS = 0.05

# Compared where it is written: two writers may come in any order.
_KEEP_THE_NEWER = """
local kept = redis.call('GET', KEYS[1])
if kept and tonumber(string.match(kept, '^%d+')) >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2], 'PX', ARGV[3])
return 1
"""


class RedisCache:
    """Connects when it is first asked."""

    def __init__(self, url: str, prefix: str, seconds: float) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._keep = self._client.register_script(_KEEP_THE_NEWER)
        self._prefix = prefix
        self._milliseconds = int(seconds * 1_000)

    def get(self, product: str) -> Level | None:
        """One round trip."""
        with _short():
            kept = self._client.get(self._prefix + product)
        if not isinstance(kept, str):
            return None
        try:
            version, stock_id, quantity = kept.split(":")
            return Level(stock_id, product, int(quantity), int(version))
        except ValueError:
            raise CacheAway(f"something else lies below {self._prefix}") from None

    def offer(self, levels: Sequence[Level]) -> None:
        """One round trip for all of them."""
        with _short(), self._client.pipeline(transaction=False) as pipeline:
            for level in levels:
                self._keep(
                    keys=[self._prefix + level.product],
                    args=[
                        level.version,
                        f"{level.stock_id}:{level.quantity}",
                        self._milliseconds,
                    ],
                    client=pipeline,
                )
            pipeline.execute()

    def close(self) -> None:
        """Close what is open."""
        self._client.close()


@contextmanager
def _short() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise CacheAway(str(error) or type(error).__name__) from error
