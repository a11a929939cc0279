"""Puts loops together from what the environment says: the worker half of a composition root."""

import os
import threading
from collections.abc import Collection, Mapping

import pydantic

from eventbus.batch import BatchConsumer, ConsumerOptions
from eventbus.clock import GATHER_SECONDS
from eventbus.command import Context
from eventbus.config import KafkaConfig, topic_names
from eventbus.database import Database
from eventbus.effects import Handler
from eventbus.inbox import PostgresInbox
from eventbus.kafka_consumer import KafkaConsumer
from eventbus.outbox import Doorbell, PostgresOutbox
from eventbus.producer import KafkaProducer
from eventbus.relay import Expand, Relay, RelayOptions, keep
from eventbus.runtime import Heartbeat, Loop


def build_relay(
    context: Context, *, expand: Expand = keep, logged_topic: str | None = None
) -> Loop:
    """The loop that empties this service's outbox."""
    settings = context.settings
    queue = PostgresOutbox(settings.database_url, f"{settings.service}-relay", logged_topic)
    producer = KafkaProducer(KafkaConfig.from_env(context.environ))
    options = RelayOptions(settings.source, topic_names(context.environ), expand)
    return Relay(queue, producer, options, context.tracing).run


def build_consumer(
    context: Context,
    models: Mapping[str, type[pydantic.BaseModel]],
    handler: Handler,
    *,
    only: Collection[str] = (),
    announces: bool = True,
    gather_seconds: float = GATHER_SECONDS,
) -> Loop:
    """The loop that consumes every topic for which there is a dead-letter topic, or `only` some.

    The relay is woken after each batch; where a handler `announces` nothing, it finds the rare dead
    letter by itself. No two batches begin within `gather_seconds`, unless the first was full.
    """
    config = KafkaConfig.from_env(context.environ)
    group = context.environ["CONSUMER_GROUP"]
    dead_letter_topics = topic_names(context.environ, "DLQ_")
    topics = {
        name: topic
        for name, topic in topic_names(context.environ).items()
        if name in dead_letter_topics and (not only or name in only)
    }
    if not topics:
        raise ValueError("no consumed topic: neither TOPIC_… nor its DLQ_… is set")

    def run(stop: threading.Event, heartbeat: Heartbeat) -> None:
        database = Database(context.settings.database_url, 1, f"{group}/{os.getpid()}")
        bell = Doorbell.started(context.settings.database_url) if announces else None
        inbox = PostgresInbox(
            database, group, {topic: dead_letter_topics[name] for name, topic in topics.items()}
        )
        after_commit = bell.ring if bell else lambda: None
        options = ConsumerOptions(
            sorted(topics.values()),
            models,
            gather_seconds=gather_seconds,
            after_commit=after_commit,
        )
        consumer = BatchConsumer(
            KafkaConsumer(config, group), inbox, handler, options, context.tracing
        )
        try:
            consumer.run(stop, heartbeat)
        finally:
            if bell:
                bell.close()
            database.close()

    return run
