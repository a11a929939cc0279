"""Composition root of the workers."""

from functools import partial

from email_service import consumer
from email_service.sender import Sender
from eventbus import assembly
from eventbus.clock import UNHURRIED_SECONDS
from eventbus.command import Context
from eventbus.runtime import Loop


def build_relay(context: Context) -> Loop:
    """Empties the outbox, which holds dead letters only."""
    return assembly.build_relay(context)


def build_consumer(context: Context) -> Loop:
    """Notes what is to be written."""
    handle = partial(consumer.handle, sender=context.settings.mail_from)
    return assembly.build_consumer(
        context, consumer.MODELS, handle, announces=False, gather_seconds=UNHURRIED_SECONDS
    )


def build_sender(context: Context) -> Loop:
    """Sends what is due."""
    return Sender(context.settings, context.tracing).run
