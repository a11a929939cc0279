"""Composition root of the workers."""

from datetime import timedelta

from eventbus import assembly
from eventbus.clock import UNHURRIED_SECONDS
from eventbus.command import Context
from eventbus.database import Database
from eventbus.runtime import Loop
from order_service import consumer, projection
from order_service.adapters.postgres import PostgresWaitingOrders
from order_service.domain import TOPIC
from order_service.relay import expand
from order_service.sweeper import Sweeper


def build_relay(context: Context) -> Loop:
    """Empties the outbox and keeps what was told on `orders` in the event log."""
    return assembly.build_relay(context, expand=expand, logged_topic=TOPIC)


def build_consumer(context: Context) -> Loop:
    """Reads stock's decisions."""
    return assembly.build_consumer(context, consumer.MODELS, consumer.handle, only=consumer.TOPICS)


def build_statistics(context: Context) -> Loop:
    """Counts what became of orders."""
    handler = projection.build_handler(timedelta(seconds=context.settings.lateness_seconds))
    return assembly.build_consumer(
        context,
        projection.MODELS,
        handler,
        only=[TOPIC],
        announces=False,
        gather_seconds=UNHURRIED_SECONDS,
    )


def build_sweeper(context: Context) -> Loop:
    """Looks after orders that nobody decided about."""
    database = Database(context.settings.database_url, 1, "order-sweeper")
    return Sweeper(PostgresWaitingOrders(database), context.settings).run
