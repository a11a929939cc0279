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
from dataclasses import dataclass

import pydantic
import structlog

from eventbus.clock import GATHER_SECONDS, Clock, SystemClock, rest_after_batch
from eventbus.consumer import Answer, Consumer, Partition
from eventbus.database import is_outage
from eventbus.effects import Committed, Effects, Handler
from eventbus.envelope import Record
from eventbus.errors import Crash
from eventbus.inbox import Inbox
from eventbus.metrics import BATCH_RECORDS, BATCH_SECONDS, CONSUMED, LAG
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing

log = structlog.get_logger(__name__)


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
        self._effects = Effects(inbox, handler, options.models, tracing)
        self._options = options
        self._clock = clock or SystemClock()
        self._positions: dict[Partition, int] = {}
        self._unexplained: deque[float] = deque(maxlen=options.max_unexplained_per_minute)
        self._pending: deque[_Part] = deque()
        self._stop = threading.Event()
        self._heartbeat = Heartbeat()
        self._lag_at = 0.0
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
        except Exception as error:
            if not (stop.is_set() and is_outage(error)):  # else: told to stop while waiting
                # Leaving the group may take long or never end: what happened is told before.
                log.exception("consumer.failed")
                stop.set()
                raise
        finally:
            self._consumer.close()

    def step(self) -> int:
        """One turn: a batch, if there is one, carried to its end; answers how many records."""
        self._heartbeat.beat()
        records = self._consumer.poll(self._options.poll_seconds, self._options.limit)
        if records:
            began, self._effects.exemplar = self._clock.monotonic(), None
            self._carry(records)
            BATCH_SECONDS.observe(self._clock.monotonic() - began, self._effects.exemplar)
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
            held = self._held(part)
            if not held:
                continue
            try:
                committed = self._effects.commit(held, self._positions, part.cause)
            except Crash:
                raise
            except Exception as error:  # noqa: BLE001  # the loop's one place; classified here
                if is_outage(error):
                    self._pending.appendleft(part)
                    self._stay_paused(_backoff(attempt), error)
                    attempt += 1
                else:
                    self._narrow(part, error)
            else:
                attempt = 0
                self._settle(committed)

    def _narrow(self, part: "_Part", error: Exception) -> None:
        """Halve a failing batch; a record that fails alone is condemned."""
        if part.cause is not None:
            raise Crash(f"cannot put {part.records[0].origin} aside") from error
        middle = len(part.records) // 2
        if middle:
            self._pending.extendleft([_Part(part.records[middle:]), _Part(part.records[:middle])])
            return
        self._count_unexplained(error)
        log.error("consumer.poison", origin=part.records[0].origin, cause=type(error).__name__)
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

    def _held(self, part: "_Part") -> list[tuple[Partition, Record]]:
        """What is still ours and not behind our position: a rebalance may bring a record twice."""
        found = ((self._consumer.partition(r.topic, r.partition), r) for r in part.records)
        return [
            (partition, record)
            for partition, record in found
            if partition is not None and record.offset >= self._positions.get(partition, 0)
        ]

    def _settle(self, committed: Committed) -> None:
        """What follows a commit. An error here is no record's fault: it ends the loop."""
        if committed.then is not None:
            committed.then()
        self._options.after_commit()
        moved = {partition: committed.steps[partition].end for partition in committed.accepted}
        self._positions.update(moved)
        self._consumer.acknowledge(moved)
        fenced = committed.steps.keys() - committed.accepted
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


def _names(partitions: Sequence[Partition] | set[Partition]) -> list[str]:
    return sorted(f"{p.topic}/{p.number}" for p in partitions)
