"""Composition root of the workers."""

from eventbus import assembly
from eventbus.command import Context
from eventbus.runtime import Loop
from stock_service import consumer
from stock_service.wiring import build_cache


def build_relay(context: Context) -> Loop:
    """Empties the outbox."""
    return assembly.build_relay(context)


def build_consumer(context: Context) -> Loop:
    """Decides about orders."""
    handler = consumer.build_handler(build_cache(context.settings))
    return assembly.build_consumer(context, consumer.MODELS, handler)
