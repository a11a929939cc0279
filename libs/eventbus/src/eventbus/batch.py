"""The consumer loop: a batch from Kafka becomes one transaction in Postgres.

Decode, fence, handle, commit; then tell Kafka where we are. A transaction that fails because
Postgres is away is repeated with the partitions paused (the member stays in its group). One that
fails for another reason is halved until the record at fault stands alone, and that one is put
aside as a dead letter, so that a poison record never stops a partition.
"""

import random
import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Generic, TypeVar

import pydantic
import structlog
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus.clock import GATHER_SECONDS, Clock, SystemClock, rest_after_batch
from eventbus.consumer import Answer, Consumer, Partition
from eventbus.database import is_outage
from eventbus.envelope import Event, Record, read_event
from eventbus.errors import Crash, InvalidRecord
from eventbus.inbox import Inbox, InboxTransaction, Step
from eventbus.metrics import BATCH_RECORDS, BATCH_SECONDS, CONSUMED, LAG, exemplar
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing

log = structlog.get_logger(__name__)

Model = TypeVar("Model", bound=pydantic.BaseModel)


@dataclass(frozen=True, slots=True)
class Message(Generic[Model]):
    """A decoded record as a handler sees it."""

    event: Event
    data: Model
    traceparent: str | None
    partition: int = 0


Then = Callable[[], None]
# Writes a batch's effects; may answer what is to be done once they are committed.
Handler = Callable[[Cursor, Sequence[Message[pydantic.BaseModel]]], Then | None]


@dataclass(frozen=True)
class ConsumerOptions:
    """What one consumer reads and how hard it tries."""

    topics: Sequence[str]
    models: Mapping[str, type[pydantic.BaseModel]]
    limit: int = 500
    gather_seconds: float = GATHER_SECONDS
    poll_seconds: float = 0.2
    after_commit: Callable[[], None] = lambda: None
    max_unexplained_per_minute: int = 50


@dataclass(slots=True)
class _Part:
    """A batch or a piece of one; with a cause, a single record to be put aside."""

    records: list[Record]
    cause: str | None = None


class BatchConsumer:
    """One member of a consumer group, driven by one thread."""

    def __init__(
        self,
        consumer: Consumer,
        inbox: Inbox,
        handler: Handler,
        options: ConsumerOptions,
        tracing: Tracing,
        clock: Clock | None = None,
    ) -> None:
        self._consumer = consumer
        self._inbox = inbox
        self._handler = handler
        self._options = options
        self._tracing = tracing
        self._clock = clock or SystemClock()
        self._positions: dict[Partition, int] = {}
        self._unexplained: deque[float] = deque(maxlen=options.max_unexplained_per_minute)
        self._pending: deque[_Part] = deque()
        self._stop = threading.Event()
        self._heartbeat = Heartbeat()
        self._lag_at = 0.0
        self._exemplar: dict[str, str] | None = None
        for topic in options.topics:  # a series that begins with its first letter hides it
            CONSUMED.labels(topic, "dead")

    def run(self, stop: threading.Event, heartbeat: Heartbeat) -> None:
        """Consume until told to stop."""
        for _ in self.turns(stop, heartbeat):
            pass

    def turns(self, stop: threading.Event, heartbeat: Heartbeat) -> Generator[int, None, None]:
        """The same, a turn at a time: how many records each brought. Close it to leave early."""
        self._stop, self._heartbeat = stop, heartbeat
        self._consumer.subscribe(self._options.topics, self)
        try:
            while not stop.is_set():
                yield self.step()
        finally:
            self._consumer.close()

    def step(self) -> int:
        """One turn: a batch, if there is one, carried to its end; answers how many records."""
        self._heartbeat.beat()
        records = self._consumer.poll(self._options.poll_seconds, self._options.limit)
        if records:
            began, self._exemplar = self._clock.monotonic(), None
            self._carry(records)
            BATCH_SECONDS.observe(self._clock.monotonic() - began, self._exemplar)
            BATCH_RECORDS.observe(len(records))
            if len(records) < self._options.limit:
                rest_after_batch(began, self._options.gather_seconds, self._clock, self._stop)
        self._report_lag()
        return len(records)

    # --- assignment ---

    def assigned(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """Begin where the database says; without it there is no beginning, so wait for it."""
        stored = self.insist(lambda: self._inbox.positions(partitions))
        self._positions.update(stored)
        self._heartbeat.ready = True
        log.info("consumer.assigned", partitions=_names(partitions))
        return stored

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Whoever has them now begins at the stored position; what we hold of them is void."""
        self._forget(partitions)
        for partition in partitions:
            self._positions.pop(partition, None)
            LAG.labels(partition.topic, str(partition.number)).set(0)
        log.info("consumer.revoked", partitions=_names(partitions))

    def insist(self, ask: Callable[[], Answer]) -> Answer:
        """Ask until there is an answer, or a stop."""
        for attempt in range(1_000):
            try:
                return ask()
            except Exception as error:
                if not is_outage(error) or self._stop.is_set():
                    raise
                log.warning("consumer.waiting", cause=str(error).strip())
                self._heartbeat.beat()
                self._heartbeat.ready = False
                self._clock.wait(self._stop, _backoff(attempt))
        raise Crash("an assignment could not be made")

    # --- a batch ---

    def _carry(self, records: list[Record]) -> None:
        """Apply a batch, narrowing down to a poison record and waiting out outages."""
        self._pending = deque([_Part(records)])
        attempt = 0
        while self._pending and not self._stop.is_set():
            part = self._pending.popleft()
            try:
                self._apply(part)
                attempt = 0
            except Crash:
                raise
            except Exception as error:  # noqa: BLE001  # the loop's one place; classified here
                if is_outage(error):
                    self._pending.appendleft(part)
                    self._stay_paused(_backoff(attempt), error)
                    attempt += 1
                else:
                    self._narrow(part, error)

    def _narrow(self, part: "_Part", error: Exception) -> None:
        """Halve a failing batch; a record that fails alone is condemned."""
        if part.cause is not None:
            raise Crash(f"cannot put {_origin(part.records[0])} aside") from error
        middle = len(part.records) // 2
        if middle:
            self._pending.extendleft([_Part(part.records[middle:]), _Part(part.records[:middle])])
            return
        self._count_unexplained(error)
        log.error("consumer.poison", origin=_origin(part.records[0]), cause=type(error).__name__)
        self._pending.appendleft(_Part(part.records, f"{type(error).__name__}: {error}"))

    def _count_unexplained(self, error: Exception) -> None:
        now = self._clock.monotonic()
        full = len(self._unexplained) == self._unexplained.maxlen
        if full and now - self._unexplained[0] < 60:
            raise Crash("too many records fail for no reason of their own") from error
        self._unexplained.append(now)

    def _stay_paused(self, seconds: float, error: Exception) -> None:
        """Wait, but go on polling: a member that does not poll is thrown out of its group."""
        log.warning("consumer.paused", seconds=round(seconds, 2), cause=str(error).strip())
        self._heartbeat.ready = False
        self._consumer.pause()
        until = self._clock.monotonic() + seconds
        while not self._stop.is_set() and self._clock.monotonic() < until:
            self._heartbeat.beat()
            extra = self._consumer.poll(0.1, self._options.limit)
            if extra:  # of a partition that was assigned just now
                self._pending.append(_Part(extra))
        self._consumer.resume()
        self._heartbeat.ready = True

    def _apply(self, part: "_Part") -> None:
        """One transaction: fence, dead letters, effects."""
        records = [record for record in part.records if self._is_due(record)]
        if not records:
            return
        steps = self._steps(records)
        then: Then | None = None
        with self._inbox.transaction() as transaction:
            accepted = transaction.advance(steps)
            current = [r for r in records if self._partition_of(r) in accepted]
            if part.cause is not None:
                for record in current:
                    # What a fault says of itself may quote the record: the log names its kind.
                    self._bury(transaction, record, part.cause, part.cause.partition(":")[0])
            else:
                then = self._handle(current, transaction)
        if then is not None:
            then()
        self._options.after_commit()
        self._settle(steps, accepted)

    def _is_due(self, record: Record) -> bool:
        """Still ours, and not behind our position: a rebalance may bring a record twice."""
        partition = self._consumer.partition(record.topic, record.partition)
        return partition is not None and record.offset >= self._positions.get(partition, 0)

    def _steps(self, records: Sequence[Record]) -> dict[Partition, Step]:
        ends: dict[Partition, int] = {}
        for record in records:
            ends[self._partition_of(record)] = record.offset + 1
        return {p: Step(self._positions.get(p), end) for p, end in ends.items()}

    def _partition_of(self, record: Record) -> Partition:
        partition = self._consumer.partition(record.topic, record.partition)
        if partition is None:
            raise Crash(f"{_origin(record)} came without an assignment")
        return partition

    def _settle(self, steps: Mapping[Partition, Step], accepted: set[Partition]) -> None:
        moved = {partition: steps[partition].end for partition in accepted}
        self._positions.update(moved)
        self._consumer.acknowledge(moved)
        fenced = steps.keys() - accepted
        if fenced:
            log.warning("consumer.fenced", partitions=_names(fenced))
            stored = self.insist(lambda: self._inbox.positions(list(fenced)))
            self._forget(fenced)
            for partition, offset in stored.items():
                self._positions[partition] = offset
                self._consumer.rewind(partition, offset)

    def _forget(self, partitions: Collection[Partition]) -> None:
        """Drop what is in hand of partitions whose position is no longer what we believed."""
        names = {(p.topic, p.number) for p in partitions}
        for part in self._pending:
            part.records[:] = [r for r in part.records if (r.topic, r.partition) not in names]

    def _bury(self, transaction: InboxTransaction, record: Record, cause: str, logged: str) -> None:
        transaction.bury(record, cause)
        CONSUMED.labels(record.topic, "dead").inc()
        log.error("consumer.dead_letter", origin=_origin(record), cause=logged)

    def _handle(self, records: Sequence[Record], transaction: InboxTransaction) -> Then | None:
        messages = []
        with ExitStack() as spans:
            for record in records:
                try:
                    message = self._read(record, spans)
                except InvalidRecord as error:
                    self._bury(transaction, record, str(error), str(error))
                    continue
                CONSUMED.labels(record.topic, "handled" if message else "skipped").inc()
                if message is not None:
                    messages.append(message)
            if messages:
                traces = (exemplar(message.traceparent) for message in messages)
                self._exemplar = next(filter(None, traces), self._exemplar)
                return self._handler(transaction.cursor, messages)
        return None

    def _read(self, record: Record, spans: ExitStack) -> Message[pydantic.BaseModel] | None:
        event = read_event(record)
        model = self._options.models.get(event.type)
        if model is None:  # a type that came later than we did
            return None
        try:
            data = model.model_validate_json(event.data)
        except pydantic.ValidationError as error:
            # Without the input: dead letters show it, logs must not.
            faults = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'data'}: {e['msg']}" for e in error.errors()
            )
            raise InvalidRecord(f"{event.type}: {faults}") from None
        traceparent = spans.enter_context(
            self._tracing.span(f"handle {event.type}", "consumer", event.traceparent)
        )
        return Message(event, data, traceparent, record.partition)

    def _report_lag(self) -> None:
        now = self._clock.monotonic()
        if now - self._lag_at >= 5.0:
            self._lag_at = now
            for partition, waiting in self._consumer.lag().items():
                LAG.labels(partition.topic, str(partition.number)).set(waiting)


def _backoff(attempt: int) -> float:
    """0.1 s doubling to 10 s, with jitter so that many members do not knock together."""
    longest: float = min(10.0, 0.1 * 2 ** min(attempt, 7))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311


def _origin(record: Record) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"


def _names(partitions: Sequence[Partition] | set[Partition]) -> list[str]:
    return sorted(f"{p.topic}/{p.number}" for p in partitions)
