"""Counts all orders anew from the topic's beginning, while readers see what was counted before.

For when the counts are doubted, or counted in another way from now on. The new counts grow as a
generation of their own, and are there for readers from one transaction on. Ended in the middle, it
has changed nothing for them; called again, it goes on where it was.
"""

import threading
from datetime import timedelta

import structlog

from eventbus.batch import BatchConsumer, ConsumerOptions
from eventbus.command import Context
from eventbus.config import KafkaConfig, topic_names
from eventbus.database import Database
from eventbus.errors import Crash
from eventbus.history import KafkaHistory
from eventbus.inbox import PostgresInbox
from eventbus.kafka_consumer import KafkaConsumer
from eventbus.replay import Readers, Replay, ReplayInbox
from eventbus.runtime import Heartbeat, Loop
from order_service.adapters.statistics import PostgresGenerations
from order_service.domain import TOPIC
from order_service.projection import MODELS, build_handler

log = structlog.get_logger(__name__)


def build_rebuild(context: Context) -> Loop:
    """Ends by itself; needs what the worker that counts is told."""
    config = KafkaConfig.from_env(context.environ)
    group = context.environ["CONSUMER_GROUP"]
    topic = topic_names(context.environ)[TOPIC]
    letters = {topic: topic_names(context.environ, "DLQ_")[TOPIC]}
    lateness = timedelta(seconds=context.settings.lateness_seconds)

    def run(stop: threading.Event, heartbeat: Heartbeat) -> None:
        # One connection for batches, one that holds the switch, one that holds the lock.
        database = Database(context.settings.database_url, 3, "order-stats-rebuild")
        generations = PostgresGenerations(database)
        with generations.alone() as mine:
            if not mine:
                raise Crash("another rebuild is under way")
            generation = generations.begin()
            readers = Readers(topic, group, f"{group}.rebuild.{generation}")
            log.info("rebuild.started", generation=generation)
            inbox = ReplayInbox(PostgresInbox(database, readers.second, letters), readers)
            consumer = BatchConsumer(
                KafkaConsumer(config, readers.second),
                inbox,
                build_handler(lateness, generation),
                ConsumerOptions([topic], MODELS),
                context.tracing,
            )
            history = KafkaHistory(config, topic)
            replay = Replay(
                consumer, database, readers, history, lambda c: generations.switch(c, generation)
            )
            if replay.run(stop, heartbeat):
                log.info("rebuild.finished", generation=generation, swept=generations.sweep())
                history.forget(readers.second)
        database.close()

    return run
