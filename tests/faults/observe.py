"""What the system says of itself when all is quiet, read from its databases and from Kafka."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import confluent_kafka
import psycopg2
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from eventbus.config import ClientConfig
from faults.layout import PARTITIONS, ROLES, SERVICES, dead_letter_topic, topic

_READ_SECONDS = 60.0
_MINUTE = "floor(extract(epoch FROM {}) / 60)::int"
CONSUMED = {
    service: tuple(name for role in ROLES if role.service == service for name in role.consumes)
    for service in SERVICES
}
Cell = tuple[int, str, str]  # the minute since the epoch, product, status


@dataclass(frozen=True)
class Order:
    """A row of the order service."""

    id: str
    key: str | None
    product: str
    quantity: int
    email: str
    status: str
    version: int


@dataclass(frozen=True)
class Logged:
    """A published order event, as the event log or the topic has it."""

    event_id: str
    type: str
    order_id: str
    minute: int = 0  # of its time, since the epoch


@dataclass(frozen=True)
class Letter:
    """A row of a mail ledger."""

    message_id: str
    order_id: str
    template: str
    state: str
    last_error: str | None


@dataclass(frozen=True)
class DeadLetter:
    """A record that was put aside."""

    service: str
    origin: str
    cause: str


@dataclass(frozen=True)
class Move:
    """One committed move of a stored position."""

    service: str
    partition: str
    before: int | None
    after: int
    by_injector: bool


@dataclass(frozen=True)
class State:
    """Everything that the checker looks at, beside the clients' history and the accepted mails."""

    orders: list[Order] = field(default_factory=list)
    stock: dict[str, int] = field(default_factory=dict)
    event_log: list[Logged] = field(default_factory=list)
    told: list[Logged] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    forwarded: list[str] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    outbox: dict[str, int] = field(default_factory=dict)
    lag: dict[str, int] = field(default_factory=dict)
    statistics: dict[Cell, tuple[int, int]] | None = None  # orders and pieces; None: not kept here


class Observer:
    """Looks at the servers themselves, not through proxies or services."""

    def __init__(self, databases: Mapping[str, str], bootstrap_servers: str) -> None:
        self._databases = databases
        self._kafka: ClientConfig = {"bootstrap.servers": bootstrap_servers, "log_level": 0}
        self._admin = AdminClient(self._kafka)

    def is_quiet(self) -> bool:
        """Nothing is on its way: outboxes, positions and mails are where they should end."""
        return (
            not any(self.outbox().values())
            and not any(self.lag().values())
            and not self._rows(
                "email", "SELECT 1 FROM mail WHERE state IN ('QUEUED', 'SENDING') LIMIT 1"
            )
        )

    def state(self) -> State:
        """Everything at once."""
        return State(
            orders=[
                Order(*row)
                for row in self._rows(
                    "order",
                    "SELECT order_id::text, idempotency_key, product, quantity, customer_email,"
                    " status, version FROM orders",
                )
            ],
            stock=dict(self._rows("stock", "SELECT product, quantity FROM stock")),
            event_log=[
                Logged(*row)
                for row in self._rows(
                    "order",
                    f"SELECT event_id, type, subject, {_MINUTE.format('created_at')}"  # noqa: S608
                    " FROM event_log ORDER BY position",
                )
            ],
            told=list(self._told()),
            letters=[
                Letter(*row)
                for row in self._rows(
                    "email", "SELECT mail_id::text, order_id, template, state, last_error FROM mail"
                )
            ],
            dead_letters=[letter for service in CONSUMED for letter in self._dead(service)],
            forwarded=list(self._forwarded()),
            moves=[move for service in CONSUMED for move in self._moves(service)],
            outbox=self.outbox(),
            lag=self.lag(),
            statistics={
                (minute, product, status): (orders, quantity)
                for minute, product, status, orders, quantity in self._rows(
                    "order",
                    f"SELECT {_MINUTE.format('bucket')}, product, status, orders, quantity"  # noqa: S608
                    " FROM stats_bucket JOIN stats_generation USING (generation) WHERE live",
                )
            },
        )

    def outbox(self) -> dict[str, int]:
        """Rows that wait for a relay, per service."""
        return {name: self._rows(name, "SELECT count(*) FROM outbox")[0][0] for name in SERVICES}

    def lag(self) -> dict[str, int]:
        """Records between the stored position and the end, per consumed topic."""
        return {
            f"{service}/{name}": self._lag_of(service, topic(name))
            for service, names in CONSUMED.items()
            for name in names
        }

    def letter_ids(self, service: str) -> list[str]:
        """What a service has put aside so far, as `redrive` takes it."""
        return [str(row[0]) for row in self._rows(service, "SELECT id FROM dead_letter")]

    def _lag_of(self, service: str, name: str) -> int:
        positions: dict[int, int] = dict(
            self._rows(
                service, "SELECT partition, next_offset FROM consumer_offset WHERE topic = %s", name
            )
        )
        return sum(end - positions.get(number, 0) for number, end in self._ends(name).items())

    def _ends(self, name: str, partitions: int = PARTITIONS) -> dict[int, int]:
        asked = {
            confluent_kafka.TopicPartition(name, number): OffsetSpec.latest()  # type: ignore[no-untyped-call]
            for number in range(partitions)
        }
        answers = self._admin.list_offsets(asked, request_timeout=10)
        return {target.partition: future.result(10).offset for target, future in answers.items()}

    def _dead(self, service: str) -> Iterator[DeadLetter]:
        for name, partition, offset, cause in self._rows(
            service, "SELECT topic, partition, record_offset, cause FROM dead_letter"
        ):
            yield DeadLetter(service, f"{name}/{partition}/{offset}", cause)

    def _moves(self, service: str) -> Iterator[Move]:
        for topic_id, number, before, after, by_injector in self._rows(
            service,
            "SELECT topic_id, partition, before, after, by_injector FROM fault_audit ORDER BY id",
        ):
            yield Move(service, f"{topic_id}/{number}", before, after, by_injector)

    def _told(self) -> Iterator[Logged]:
        for message in self._read(topic("orders"), PARTITIONS):
            headers = _headers(message)
            if headers.get("ce_source") == b"/shop/order":
                yield Logged(
                    headers["ce_id"].decode(),
                    headers["ce_type"].decode(),
                    headers["ce_subject"].decode(),
                )

    def _forwarded(self) -> Iterator[str]:
        """Origins of what lies in the dead-letter topics."""
        for service, names in CONSUMED.items():
            for name in names:
                for message in self._read(dead_letter_topic(name, service), 1):
                    yield _headers(message)["dlq_origin"].decode()

    def _read(self, name: str, partitions: int) -> Iterator[confluent_kafka.Message]:
        ends = self._ends(name, partitions)
        client = confluent_kafka.Consumer({**self._kafka, "group.id": "observer"})
        client.assign([confluent_kafka.TopicPartition(name, number, 0) for number in ends])
        waiting = sum(ends.values())
        deadline = time.monotonic() + _READ_SECONDS
        with contextlib.closing(client):
            while waiting > 0:
                messages = client.consume(min(waiting, 10_000), 1.0)
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{waiting} records of {name} cannot be read")
                waiting -= len(messages)
                yield from messages

    def _rows(self, service: str, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with (
            contextlib.closing(psycopg2.connect(self._databases[service])) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(query, values)
            return cursor.fetchall()


def _headers(message: confluent_kafka.Message) -> dict[str, bytes]:
    found: dict[str, Any] = dict(message.headers() or [])
    return found
