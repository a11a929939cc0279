"""Records and offsets of a Kafka, read and written for one command; blocking calls."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import click
from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from eventpipeline_operator.adapters.kafka_answers import DENIED
from eventpipeline_operator.api.offsets import PartitionOffsets
from eventpipeline_operator.cli.letters import Letter, LetterBox, redriven

SECONDS = 10.0
READ_SECONDS = 60.0
CLIENT = "eventpipeline-cli"
Settings = Mapping[str, str]
Place = tuple[str, int]


class Kafka:
    """One cluster, spoken to as one identity."""

    def __init__(self, servers: str, settings: Settings) -> None:
        self.servers = servers
        self._refusal: KafkaError | None = None
        self._options: dict[str, Any] = {
            **settings,
            "bootstrap.servers": servers,
            "client.id": CLIENT,
            "log_level": 0,
            "error_cb": self._heard,
        }

    @contextmanager
    def consumer(self, group: str = CLIENT) -> Iterator[Consumer]:
        """A consumer that joins no group and commits nothing by itself."""
        options = {"group.id": group, "enable.auto.commit": False, "enable.partition.eof": False}
        consumer = Consumer({**self._options, **options})
        try:
            with self._reaching(consumer):
                yield consumer
        finally:
            consumer.close()

    def read_letters(self, box: LetterBox, most: int) -> list[Letter]:
        """The newest of a dead-letter topic, oldest first; none where there is no topic."""
        with self.consumer() as consumer:
            ends: dict[int, int] = {}
            starts = []
            for place in partitions(consumer, box.topic):
                low, high = consumer.get_watermark_offsets(place, SECONDS)
                if high > low:
                    ends[place.partition] = high
                    starts.append(TopicPartition(box.topic, place.partition, max(low, high - most)))
            consumer.assign(starts)
            letters = [_letter(box, message) for message in _until(consumer, ends)]
        return sorted(letters, key=lambda each: (each.at, each.partition, each.offset))[-most:]

    def lag(self, group: str, topics: Sequence[str]) -> int:
        """Records that wait for a group in all partitions of its topics."""
        with self.consumer(group) as consumer:
            places = [place for topic in topics for place in partitions(consumer, topic)]
            waiting = 0
            for stands in consumer.committed(places, timeout=SECONDS):
                low, high = consumer.get_watermark_offsets(stands, SECONDS)
                known = stands.offset if stands.offset >= 0 else None
                waiting += PartitionOffsets(low, high, known).lag
            return waiting

    def redrive(self, letters: Sequence[Letter]) -> None:
        """Send records to where they came from; returns when Kafka has them all."""
        producer = Producer({**self._options, "enable.idempotence": True})
        confirmed: list[KafkaError | None] = []

        def report(error: KafkaError | None, _: Message) -> None:
            confirmed.append(error)

        with self._reaching(producer):
            for letter in letters:
                producer.produce(
                    letter.box.origin,
                    key=letter.key,
                    value=letter.value,
                    headers=list(redriven(letter)),
                    partition=letter.origin_partition,
                    on_delivery=report,
                )
            left = producer.flush(READ_SECONDS)
        failed = [error for error in confirmed if error is not None]
        if left or failed:
            done = len(letters) - left - len(failed)
            words = failed[0].str() if failed else "no answer in time"
            raise click.ClickException(f"{done} of {len(letters)} records confirmed: {words}")

    def members(self, group: str) -> int:
        """How many members a group has."""
        admin = AdminClient(self._options)
        (future,) = admin.describe_consumer_groups([group], request_timeout=SECONDS).values()
        with self._reaching(admin):
            try:
                return len(future.result().members)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                    return 0
                raise

    @contextmanager
    def _reaching(self, client: Consumer | Producer | AdminClient) -> Iterator[None]:
        """Say what a failure is about: who is refused, or how a Kafka in a cluster is reached."""
        try:
            yield
        except KafkaException as error:
            client.poll(0)  # the call says that it took too long, and this why
            if self._refusal:
                msg = f"Kafka at {self.servers} lets nobody in so: {self._refusal.str()}: see "
                raise click.ClickException(f"{msg}spec.kafka.client and its Secrets") from error
            msg = f"Kafka at {self.servers}: {error.args[0].str()}: is it reached from here? "
            raise click.ClickException(f"{msg}Else say where with --bootstrap-servers") from error

    def _heard(self, error: KafkaError) -> None:
        if error.code() in DENIED:
            self._refusal = error


def partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """All partitions of a topic; none when it does not exist."""
    found = consumer.list_topics(topic, SECONDS).topics[topic]
    return [TopicPartition(topic, number) for number in sorted(found.partitions)]


def _until(consumer: Consumer, ends: Mapping[int, int]) -> Iterator[Message]:
    """Messages up to the ends that were seen when reading began."""
    open_ends, deadline = dict(ends), time.monotonic() + READ_SECONDS
    while open_ends:
        message = consumer.poll(0.5)
        if time.monotonic() > deadline:
            raise click.ClickException("reading took too long: lower --limit")
        if message is not None and message.error() is None:
            number, offset = message.partition(), message.offset()
            if number is not None and offset is not None and offset < ends[number]:
                yield message
        for place in consumer.position([TopicPartition(_topic(consumer), n) for n in open_ends]):
            if place.offset >= ends[place.partition]:
                del open_ends[place.partition]


def _topic(consumer: Consumer) -> str:
    topic: str = consumer.assignment()[0].topic
    return topic


def _letter(box: LetterBox, message: Message) -> Letter:
    kind, milliseconds = message.timestamp()
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    headers = message.headers() or []
    return Letter(
        box,
        message.partition() or 0,
        message.offset() or 0,
        "" if kind == TIMESTAMP_NOT_AVAILABLE else at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        _bytes(message.key()),
        _bytes(message.value()),
        tuple((str(h[0]), _bytes(h[1]) or b"") for h in headers),
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
