"""The loops of the worker processes."""

from eventbus import assembly
from eventbus.command import Context
from eventbus.runtime import Loop
from loyalty_service import consumer


def build_consumer(context: Context) -> Loop:
    """Reads the shop's orders; what cannot be read becomes a dead letter of ours."""
    return assembly.build_consumer(context, consumer.MODELS, consumer.handle)


def build_relay(context: Context) -> Loop:
    """Publishes what the consumer announced, and our dead letters."""
    return assembly.build_relay(context)
