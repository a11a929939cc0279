"""Composition root of the API: one Flask application per worker process, no Kafka client."""

from email_service.adapters.postgres import PostgresLedger
from email_service.routes import PREFIX, EmailRoutes
from eventbus.command import Context
from eventbus.database import Database
from eventbus.web.api import Api
from eventbus.web.auth import build_guard
from eventbus.web.probes import add_probes
from eventbus.web.server import Served


def build_api(context: Context) -> Served:
    """Called after the fork."""
    settings = context.settings
    database = Database(settings.database_url, settings.threads, "email-api")
    api = Api("Email", PREFIX, context.tracing, build_guard(settings))
    EmailRoutes(PostgresLedger(database, settings.lease), settings).register(api)

    def close() -> None:
        database.close()
        context.tracing.close()

    served = Served(api.complete(), close)
    add_probes(api.flask, database.is_reachable, served.draining.is_set)
    return served
