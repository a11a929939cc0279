"""What both composition roots share: an API must load no Kafka client, so it is not in either."""

from stock_service.caching import Cache, GuardedCache, NoCache
from stock_service.config import StockSettings


def build_cache(settings: StockSettings) -> Cache:
    """Redis, where there is one; its client is loaded there alone."""
    if not settings.redis_url:
        return NoCache()
    from stock_service.adapters.redis_cache import RedisCache  # noqa: PLC0415

    return GuardedCache(
        RedisCache(settings.redis_url, settings.redis_prefix, settings.cache_seconds)
    )
