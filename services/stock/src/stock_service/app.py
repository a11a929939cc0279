"""Composition root of the API: one Flask application per worker process, no Kafka client."""

from eventbus.command import Context
from eventbus.database import Database
from eventbus.web.api import Api
from eventbus.web.auth import build_guard
from eventbus.web.probes import add_probes
from eventbus.web.server import Served
from stock_service.adapters.postgres import PostgresStock
from stock_service.caching import CachedStock
from stock_service.routes import PREFIX, StockRoutes
from stock_service.wiring import build_cache


def build_api(context: Context) -> Served:
    """Called after the fork."""
    settings = context.settings
    database = Database(settings.database_url, settings.threads, "stock-api")
    cache = build_cache(settings)
    api = Api("Stock", PREFIX, context.tracing, build_guard(settings))
    StockRoutes(CachedStock(PostgresStock(database), cache)).register(api)

    def close() -> None:
        cache.close()
        database.close()
        context.tracing.close()

    served = Served(api.complete(), close)
    add_probes(api.flask, database.is_reachable, served.draining.is_set)
    return served
