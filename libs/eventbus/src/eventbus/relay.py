"""Outbox → Kafka: the loop that publishes what was committed, in the order of each key.

A batch is deleted, published, confirmed and only then committed. A service may give `expand` to
let one row become several records (an order placed is an event and a command).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from eventbus.clock import GATHER_SECONDS, Clock, SystemClock, rest_after_batch
from eventbus.envelope import Event, Outgoing, timestamp
from eventbus.errors import PublishFailed, Unavailable
from eventbus.metrics import RELAY_AGE, RELAY_PUBLISHED
from eventbus.outbox import OutboxQueue, OutboxRow
from eventbus.producer import Producer
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing

log = structlog.get_logger(__name__)

Expand = Callable[[OutboxRow], Sequence[OutboxRow]]


def keep(row: OutboxRow) -> Sequence[OutboxRow]:
    """One row, one record."""
    return (row,)


@dataclass(frozen=True)
class RelayOptions:
    """How one service's relay publishes."""

    source: str
    topics: Mapping[str, str]
    expand: Expand = keep
    limit: int = 500
    gather_seconds: float = GATHER_SECONDS
    idle_seconds: float = 0.1
    standby_seconds: float = 1.0


class Relay:
    """One loop; run it in as many processes as you like, one of them is active."""

    def __init__(
        self,
        queue: OutboxQueue,
        producer: Producer,
        options: RelayOptions,
        tracing: Tracing,
        clock: Clock | None = None,
    ) -> None:
        self._queue = queue
        self._producer = producer
        self._options = options
        self._tracing = tracing
        self._clock = clock or SystemClock()
        self._failures = 0

    def run(self, stop: threading.Event, heartbeat: Heartbeat) -> None:
        """Publish until told to stop; an outage is waited out."""
        while not stop.is_set():
            heartbeat.beat()
            try:
                self._turn(stop, heartbeat)
                self._failures = 0
            except (Unavailable, PublishFailed) as error:
                delay = min(10.0, 0.2 * 2**self._failures)
                self._failures += 1
                heartbeat.ready = False
                log.warning("relay.delayed", cause=str(error), seconds=delay)
                self._clock.wait(stop, delay)
        self._producer.close()
        self._queue.close()

    def _turn(self, stop: threading.Event, heartbeat: Heartbeat) -> None:
        leading = self._queue.lead()
        heartbeat.ready = True
        if not leading:
            self._clock.wait(stop, self._options.standby_seconds)
            return
        began = self._clock.monotonic()
        rows = self.step()
        if not rows:
            self._queue.wait(self._options.idle_seconds)
        elif rows < self._options.limit:
            rest_after_batch(began, self._options.gather_seconds, self._clock, stop)

    def step(self) -> int:
        """Publish one batch; answers how many rows it held."""
        with self._queue.batch(self._options.limit) as rows:
            if not rows:
                RELAY_AGE.set(0)
                return 0
            RELAY_AGE.set((self._clock.now() - rows[0].created_at).total_seconds())
            expanded = [part for row in rows for part in self._options.expand(row)]
            self._producer.publish([self._to_record(row) for row in expanded])
        RELAY_PUBLISHED.inc(len(expanded))
        return len(rows)

    def _to_record(self, row: OutboxRow) -> Outgoing:
        topic = self._kafka_name(row.topic)
        if row.data is None:  # a dead letter travels as it came
            return Outgoing(topic, row.raw_key, row.raw, row.headers or ())
        with self._tracing.span(
            f"publish {row.type}", "producer", row.traceparent, topic=topic
        ) as traceparent:
            event = Event(
                type=row.type,
                id=row.event_id,
                source=self._options.source,
                subject=row.subject,
                time=timestamp(row.created_at),
                data=row.data.encode(),
                traceparent=traceparent,
                correlation_id=row.subject,
            )
        return Outgoing(topic, row.key.encode(), event.data, event.to_headers())

    def _kafka_name(self, topic: str) -> str:
        if "." in topic:
            return topic
        name = self._options.topics.get(topic)
        if name is None:
            variable = f"TOPIC_{topic.upper().replace('-', '_')}"
            raise Unavailable(f"{variable} is not set: list {topic} in the relay's `produces`")
        return name
