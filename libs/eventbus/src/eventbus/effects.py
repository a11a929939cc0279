"""One transaction of a consumer: its positions move, and effects or dead letters come of it.

Either all of it is in the database afterwards, or nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Generic, TypeVar

import pydantic
import structlog
from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus.consumer import Partition
from eventbus.envelope import Event, Record, read_event
from eventbus.errors import InvalidRecord
from eventbus.inbox import Inbox, InboxTransaction, Step
from eventbus.metrics import CONSUMED, exemplar
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


@dataclass(frozen=True, slots=True)
class Committed:
    """What a transaction brought about."""

    steps: Mapping[Partition, Step]
    accepted: set[Partition]  # the others stand elsewhere than the member believed
    then: Then | None = None


class Effects:
    """Turns records into one transaction by way of a handler."""

    def __init__(
        self,
        inbox: Inbox,
        handler: Handler,
        models: Mapping[str, type[pydantic.BaseModel]],
        tracing: Tracing,
    ) -> None:
        self._inbox = inbox
        self._handler = handler
        self._models = models
        self._tracing = tracing
        self.exemplar: dict[str, str] | None = None

    def commit(
        self,
        held: Sequence[tuple[Partition, Record]],
        starts: Mapping[Partition, int],
        cause: str | None = None,
    ) -> Committed:
        """Handle what of these records the fence lets through; with a cause, put it aside.

        What cannot be read is put aside too.
        """
        ends = {partition: record.offset + 1 for partition, record in held}
        steps = {partition: Step(starts.get(partition), end) for partition, end in ends.items()}
        then: Then | None = None
        with self._inbox.transaction() as transaction:
            accepted = transaction.advance(steps)
            current = [record for partition, record in held if partition in accepted]
            if cause is None:
                then = self._handle(current, transaction)
            else:
                for record in current:
                    # What a fault says of itself may quote the record: the log names its kind.
                    self._bury(transaction, record, cause, cause.partition(":")[0])
        return Committed(steps, accepted, then)

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
                self.exemplar = next(filter(None, traces), self.exemplar)
                return self._handler(transaction.cursor, messages)
        return None

    def _read(self, record: Record, spans: ExitStack) -> Message[pydantic.BaseModel] | None:
        event = read_event(record)
        model = self._models.get(event.type)
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

    def _bury(self, transaction: InboxTransaction, record: Record, cause: str, logged: str) -> None:
        transaction.bury(record, cause)
        CONSUMED.labels(record.topic, "dead").inc()
        log.error("consumer.dead_letter", origin=record.origin, cause=logged)
