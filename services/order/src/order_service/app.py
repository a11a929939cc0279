"""Composition root of the API: one Flask application per worker process, no Kafka client."""

from eventbus.clock import SystemClock
from eventbus.command import Context
from eventbus.database import Database
from eventbus.outbox import Doorbell
from eventbus.web.api import Api
from eventbus.web.auth import build_guard
from eventbus.web.probes import add_probes
from eventbus.web.server import Served
from order_service.adapters.postgres import PostgresOrders
from order_service.adapters.statistics import PostgresStatistics
from order_service.routes import PREFIX, OrderRoutes
from order_service.stats_routes import StatsRoutes


def build_api(context: Context) -> Served:
    """Called after the fork."""
    settings = context.settings
    database = Database(settings.database_url, settings.threads, "order-api")
    bell = Doorbell.started(settings.database_url)
    clock = SystemClock()
    routes = OrderRoutes(PostgresOrders(database), bell, clock)
    api = Api("Orders", PREFIX, context.tracing, build_guard(settings))
    routes.register(api)
    StatsRoutes(PostgresStatistics(database), clock).register(api)

    def close() -> None:
        routes.close()
        bell.close()
        database.close()
        context.tracing.close()

    served = Served(api.complete(), close)
    add_probes(api.flask, database.is_reachable, served.draining.is_set)
    return served
