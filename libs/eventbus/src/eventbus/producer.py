"""The Kafka end of the relay: publish a batch, and know for each record whether Kafka has it."""

from collections.abc import Callable, Sequence
from typing import Protocol

import confluent_kafka

from eventbus.config import KafkaConfig
from eventbus.envelope import Outgoing
from eventbus.errors import PublishFailed

_FLUSH_SECONDS = 35.0  # a little more than delivery.timeout.ms, which decides


_Report = Callable[[confluent_kafka.KafkaError | None, confluent_kafka.Message], None]


class Producer(Protocol):
    """What the relay needs from a broker."""

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Return when all are stored; `PublishFailed` if that is not certain for every one."""
        ...

    def close(self) -> None:
        """Give up connections and threads."""
        ...


class KafkaProducer:
    """Idempotent producer with checked delivery reports; connects at the first publish."""

    def __init__(self, config: KafkaConfig) -> None:
        self._options = config.producer()
        self._client: confluent_kafka.Producer | None = None

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Produce all, flush, and compare the delivery reports with what was handed over."""
        client = self._client or confluent_kafka.Producer(self._options)
        self._client = client
        delivered = 0
        failure: str | None = None

        def report(error: confluent_kafka.KafkaError | None, _: confluent_kafka.Message) -> None:
            nonlocal delivered, failure
            if error is None:
                delivered += 1
            else:
                failure = error.str()

        try:
            for message in messages:
                self._produce(client, message, report)
            client.flush(_FLUSH_SECONDS)
        except confluent_kafka.KafkaException as error:
            failure = str(error)
        if failure is not None or delivered != len(messages):
            self._abandon()
            confirmed = f"{delivered} of {len(messages)} records confirmed"
            raise PublishFailed(f"{confirmed}: {failure or 'no answer in time'}")

    @staticmethod
    def _produce(client: confluent_kafka.Producer, message: Outgoing, report: _Report) -> None:
        while True:
            try:
                client.produce(
                    message.topic,
                    key=message.key,
                    value=message.value,
                    headers=list(message.headers),
                    on_delivery=report,
                )
            except BufferError:
                client.poll(0.1)
            else:
                return

    def _abandon(self) -> None:
        """Forget what is still queued: the outbox has it, and a late copy would be out of order."""
        if self._client is not None:
            self._client.purge()
            self._client.flush(1.0)
        self._client = None

    def close(self) -> None:
        """Nothing is in flight between two publishes; dropping the client ends its threads."""
        self._client = None
