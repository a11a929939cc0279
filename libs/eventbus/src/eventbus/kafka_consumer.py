"""A group member of real Kafka, by way of librdkafka and in spite of it (ADR 28)."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import confluent_kafka
import structlog
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from eventbus.config import KafkaConfig
from eventbus.consumer import AssignmentListener, Partition
from eventbus.envelope import Record
from eventbus.errors import Crash, Unavailable
from eventbus.membership import REPORT_SECONDS, Membership

log = structlog.get_logger(__name__)

_METADATA_SECONDS = 10.0
# A broker that has just come back may answer the next client no better: that one joins a little
# later. Twenty in a row, about three minutes, are not the client's fault.
_RENEWALS = 20
_LONGEST_PAUSE_SECONDS = 10.0
# What a broker says to a member that it has put out: asking again would bring the same.
_PUT_OUT = (
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.FENCED_MEMBER_EPOCH,
)


class KafkaConsumer:
    """A member of a consumer group under the new rebalance protocol (KIP-848)."""

    def __init__(self, config: KafkaConfig, group: str) -> None:
        self._config = config
        self._group = group
        self._topics: list[str] = []
        self._assigned: dict[tuple[str, int], Partition] = {}
        self._paused = False
        self._positions: dict[Partition, int] = {}
        self._listener: AssignmentListener | None = None
        self._membership, self._client = self._open()
        self._join_at: float | None = None
        self._renewals = 0  # since partitions were last assigned

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        """Join the group; partitions arrive during `poll`."""
        self._listener, self._topics = listener, list(topics)
        self._join()

    def poll(self, timeout: float, limit: int) -> list[Record]:
        """`consume(n, t)` would wait all of `t` for `n`; so wait for one, take the rest."""
        began = time.monotonic()
        if self._join_at is not None and began >= self._join_at:
            self._join()
        first = self._client.poll(timeout)
        self._membership.polled(time.monotonic() - began)
        if first is None:
            return []
        messages = [first, *self._client.consume(limit - 1, 0)] if limit > 1 else [first]
        if fatal := next(filter(None, map(_fatal_error, messages)), None):
            self._renew(fatal)
            return []
        return [record for message in messages if (record := _to_record(message)) is not None]

    def partition(self, topic: str, number: int) -> Partition | None:
        """The assigned partition of a record; None if it is no longer ours."""
        return self._assigned.get((topic, number))

    def rewind(self, partition: Partition, offset: int) -> None:
        """Pause before seek: otherwise records fetched earlier may slip through."""
        if self._assigned.get((partition.topic, partition.number)) != partition:
            return
        target = confluent_kafka.TopicPartition(partition.topic, partition.number, offset)
        self._client.pause([target])
        self._client.seek(target)
        if not self._paused:
            self._client.resume([target])

    def pause(self) -> None:
        """Deliver nothing, but stay a member."""
        if not self._paused:
            self._client.pause(self._targets(self._assigned.values()))
            self._paused = True

    def resume(self) -> None:
        """Only what was paused is resumed."""
        if self._paused:
            self._paused = False
            self._client.resume(self._targets(self._assigned.values()))

    def acknowledge(self, positions: Mapping[Partition, int]) -> None:
        """Store offsets; the client commits them in the background."""
        self._positions.update(positions)
        targets = [
            confluent_kafka.TopicPartition(partition.topic, partition.number, offset)
            for partition, offset in positions.items()
            if self._assigned.get((partition.topic, partition.number)) == partition
        ]
        if not targets:
            return
        try:
            self._client.store_offsets(offsets=targets)
        except confluent_kafka.KafkaException as error:
            # Lost a moment ago, and not yet told: whoever has them now asks the database.
            if error.args[0].code() != KafkaError._STATE:  # noqa: SLF001  # documented so
                raise

    def lag(self) -> dict[Partition, int]:
        """High watermark as last fetched, minus our position."""
        waiting = {}
        for partition in self._assigned.values():
            target = confluent_kafka.TopicPartition(partition.topic, partition.number)
            low, high = self._client.get_watermark_offsets(target, cached=True)
            if high >= 0:
                waiting[partition] = max(0, high - self._positions.get(partition, max(low, 0)))
        return waiting

    def close(self) -> None:
        """Commit what is stored and leave the group."""
        self._client.close()

    def _open(self) -> tuple[Membership, confluent_kafka.Consumer]:
        membership = Membership()
        options = {
            **self._config.consumer(self._group),
            "statistics.interval.ms": REPORT_SECONDS * 1_000,
            "stats_cb": membership.report,
        }
        return membership, confluent_kafka.Consumer(options)

    def _join(self) -> None:
        self._join_at = None
        self._client.subscribe(
            self._topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def _renew(self, cause: str) -> None:
        """Go on with a new client: one that met a fatal error never reads again, nor says so."""
        self._renewals += 1
        if self._renewals > _RENEWALS:
            raise Crash(f"Kafka consumer: {cause}")
        log.warning("consumer.renewed", cause=cause)
        gone, self._assigned = list(self._assigned.values()), {}
        self._positions.clear()
        assert self._listener is not None  # noqa: S101  # set by subscribe, before any poll
        self._listener.revoked(gone)
        former = self._client
        self._membership, self._client = self._open()
        # Its group has given it up. Closing may take long, or for ever: nobody waits for it.
        threading.Thread(target=former.close, name="leaving", daemon=True).start()
        pause = min(_LONGEST_PAUSE_SECONDS, 0.25 * 2**self._renewals)
        self._join_at = time.monotonic() + pause

    @staticmethod
    def _targets(partitions: Iterable[Partition]) -> list[confluent_kafka.TopicPartition]:
        return [confluent_kafka.TopicPartition(p.topic, p.number) for p in partitions]

    def _on_assign(
        self, client: confluent_kafka.Consumer, targets: list[confluent_kafka.TopicPartition]
    ) -> None:
        listener = self._listener
        assert listener is not None  # noqa: S101  # set by subscribe, the only way here
        if client is not self._client:  # a former one, on its way out
            client.incremental_assign(targets)
            return
        ids = listener.insist(lambda: self._topic_ids({target.topic for target in targets}))
        partitions = [
            Partition(target.topic, target.partition, ids[target.topic]) for target in targets
        ]
        starts = dict(listener.assigned(partitions))
        if unknown := [partition for partition in partitions if partition not in starts]:
            starts |= listener.insist(lambda: self._committed(unknown))
        for target, partition in zip(targets, partitions, strict=True):
            # Never left to librdkafka: should it fail to learn what the group committed, it would
            # not ask again, and neither start nor ever give up the partition (ADR 28).
            target.offset = starts.get(partition, confluent_kafka.OFFSET_BEGINNING)
            if partition in starts:
                self._positions[partition] = starts[partition]
            self._assigned[partition.topic, partition.number] = partition
        client.incremental_assign(targets)
        self._renewals = 0
        if self._paused:
            client.pause(targets)

    def _on_revoke(
        self, client: confluent_kafka.Consumer, targets: list[confluent_kafka.TopicPartition]
    ) -> None:
        if client is not self._client:
            client.incremental_unassign(targets)
            return
        gone = [
            partition
            for target in targets
            if (partition := self._assigned.pop((target.topic, target.partition), None))
        ]
        for partition in gone:
            self._positions.pop(partition, None)
        if self._listener is not None:
            self._listener.revoked(gone)
        client.incremental_unassign(targets)

    def _committed(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Where the group stands, for those partitions that it has ever committed."""
        targets = self._targets(partitions)
        try:
            found = self._client.committed(targets, timeout=_METADATA_SECONDS)
        except confluent_kafka.KafkaException as error:
            if error.args[0].code() in _PUT_OUT:
                raise Crash(f"committed offsets: {error}") from error
            raise Unavailable(f"committed offsets: {error}") from error
        if failed := next((target.error for target in found if target.error), None):
            raise Unavailable(f"committed offsets: {failed}")
        return {
            partition: target.offset
            for partition, target in zip(partitions, found, strict=True)
            if target.offset >= 0
        }

    def _topic_ids(self, topics: set[str]) -> dict[str, str]:
        """Ask anew on each assignment: a recreated topic is reassigned under a new id."""
        if not topics:
            return {}
        admin = AdminClient(self._config.admin())
        wanted = confluent_kafka.TopicCollection(sorted(topics))
        try:
            answers = admin.describe_topics(wanted, request_timeout=_METADATA_SECONDS)
            return {
                name: str(future.result(2 * _METADATA_SECONDS).topic_id)
                for name, future in answers.items()
            }
        except (confluent_kafka.KafkaException, TimeoutError) as error:
            cause = str(error) or "no answer"
            raise Unavailable(f"topic ids of {', '.join(sorted(topics))}: {cause}") from error


def _fatal_error(message: confluent_kafka.Message) -> str | None:
    error = message.error()
    # What a client says once it is beyond help has the code, and not the mark.
    if error is not None and (error.fatal() or error.code() == KafkaError._FATAL):  # noqa: SLF001
        return error.str()
    return None


def _to_record(message: confluent_kafka.Message) -> Record | None:
    error = message.error()
    if error is not None:
        log.warning("consumer.error", code=error.name(), cause=error.str())
        return None
    found: Any = message  # its types allow None where only a record without a place has it
    return Record(
        topic=found.topic(),
        partition=found.partition(),
        offset=found.offset(),
        key=found.key(),
        value=found.value(),
        headers=tuple(found.headers() or ()),
    )
