"""Settings of the stock service."""

from dataclasses import dataclass

from eventbus.settings import ServiceSettings, between, variable


@dataclass(frozen=True, kw_only=True)
class StockSettings(ServiceSettings):
    """What only the stock service asks for."""

    redis_url: str = variable("REDIS_URL", default="", secret=True)
    redis_prefix: str = variable("REDIS_PREFIX", default="stock:")
    cache_seconds: float = variable("STOCK_CACHE_SECONDS", between(0.1, 3_600), default=30.0)
