"""What the suite must notice: a guard of the real code, taken away at start by the launcher."""

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


def without_fence() -> None:
    """Positions are stored, but nobody asks whether they are still what they were."""
    from eventbus import inbox  # noqa: PLC0415  # in a consumer only

    def advance(self: Any, steps: Mapping[Any, Any]) -> set[Any]:
        for partition, step in steps.items():
            self.cursor.execute(
                "INSERT INTO consumer_offset"
                " (consumer_group, topic, topic_id, partition, next_offset)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (consumer_group, topic_id, partition)"
                " DO UPDATE SET next_offset = excluded.next_offset",
                [self._group, partition.topic, partition.topic_id, partition.number, step.end],
            )
        return set(steps)

    setattr(inbox._PostgresTransaction, "advance", advance)  # noqa: B010  # typed otherwise


def without_natural_key() -> None:
    """Stock decides about an order each time it is asked."""
    from stock_service.adapters import postgres  # noqa: PLC0415

    def forget(_: Any, __: Collection[str]) -> dict[str, Any]:
        return {}

    setattr(postgres.PostgresShelf, "reservations", forget)  # noqa: B010  # typed otherwise


def without_mail_key() -> None:
    """Each OrderConfirmed is a mail of its own."""
    from email_service import consumer  # noqa: PLC0415

    def any_key(*_: Any) -> str:
        return uuid.uuid4().hex

    setattr(consumer, "dedupe_key", any_key)  # noqa: B010  # typed otherwise


def without_count_key() -> None:
    """Each event is counted as often as it is heard."""
    from order_service.adapters import statistics  # noqa: PLC0415

    def all_fresh(_: Any, ids: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
        return set(ids)

    setattr(statistics.PostgresTallies, "claim", all_fresh)  # noqa: B010  # typed otherwise


def without_delivery_report() -> None:
    """The relay believes that what it handed to its client has arrived."""
    import confluent_kafka  # noqa: PLC0415

    from eventbus.producer import KafkaProducer  # noqa: PLC0415

    def publish(self: Any, messages: Sequence[Any]) -> None:
        self._client = self._client or confluent_kafka.Producer(self._options)
        for message in messages:
            self._client.produce(
                message.topic, key=message.key, value=message.value, headers=list(message.headers)
            )
        self._client.poll(0)

    setattr(KafkaProducer, "publish", publish)  # noqa: B010  # typed otherwise


@dataclass(frozen=True)
class Mutation:
    """A guard that is missing: in which processes, and which faults it is there for."""

    take_away: Callable[[], None]
    roles: frozenset[tuple[str, str]]
    kinds: tuple[str, ...]


_CONSUMERS = frozenset(
    {("order", "consumer"), ("order", "stats"), ("stock", "consumer"), ("email", "consumer")}
)
_RELAYS = frozenset({("order", "relay"), ("stock", "relay")})

MUTATIONS: Mapping[str, Mutation] = MappingProxyType(
    {
        "fence": Mutation(without_fence, _CONSUMERS, ("zombie consumer",)),
        "natural-key": Mutation(
            without_natural_key,
            frozenset({("stock", "consumer")}),
            ("relay repeats", "offsets to zero"),
        ),
        "mail-key": Mutation(
            without_mail_key, frozenset({("email", "consumer")}), ("relay repeats", "zombie relay")
        ),
        "count-key": Mutation(
            without_count_key, frozenset({("order", "stats")}), ("relay repeats",)
        ),
        "delivery-report": Mutation(without_delivery_report, _RELAYS, ("kafka silent",)),
    }
)


def apply(name: str, service: str, worker: str) -> None:
    """Take a guard away in this process, if it is one that has it."""
    mutation = MUTATIONS[name]
    if (service, worker) in mutation.roles:
        mutation.take_away()
