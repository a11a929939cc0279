"""spec.topics and who consumes them → the Kafka topics that should be."""

from collections.abc import Iterator

from eventpipeline_operator.api import names
from eventpipeline_operator.api.types import EventPipeline, Topic
from eventpipeline_operator.api.validation import containers
from eventpipeline_operator.desired.records import TopicRecord

KEEP_FOR_EVER = {"retention.ms": "-1"}


def build_topics(pipeline: EventPipeline) -> tuple[TopicRecord, ...]:
    """Declared topics in order, then a dead-letter topic for each that a service consumes."""
    declared = tuple(_declared(pipeline, topic) for topic in pipeline.topics)
    return declared + tuple(_dead_letters(pipeline))


def _declared(pipeline: EventPipeline, topic: Topic) -> TopicRecord:
    return TopicRecord(
        entry=topic.name,
        name=names.kafka_name(pipeline.key, topic),
        partitions=topic.partitions,
        replication_factor=topic.replication_factor,
        config=topic.config,
        external=topic.external is not None,
    )


def _dead_letters(pipeline: EventPipeline) -> Iterator[TopicRecord]:
    by_name = {t.name: t for t in pipeline.topics}
    for service in pipeline.services:
        consumed = {t for _, _, container in containers(service) for t in container.consumes}
        for entry in sorted(consumed & set(by_name)):
            topic = by_name[entry]
            yield TopicRecord(
                entry=entry,
                name=names.dead_letter_name(pipeline.key, topic, service.name),
                replication_factor=topic.replication_factor,
                config=KEEP_FOR_EVER,
                dead_letters_of=names.kafka_name(pipeline.key, topic),
            )
