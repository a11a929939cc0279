"""Composition root of the workers."""

from eventbus import assembly
from eventbus.command import Context
from eventbus.runtime import Loop
from stock_service import consumer


def build_relay(context: Context) -> Loop:
    """Empties the outbox."""
    return assembly.build_relay(context)


def build_consumer(context: Context) -> Loop:
    """Decides about orders."""
    return assembly.build_consumer(context, consumer.MODELS, consumer.handle)
