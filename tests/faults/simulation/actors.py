"""The processes of the three services as actors: each takes one step when the schedule says so.

An actor is built of the real loops: `BatchConsumer`, `Relay`, `Sender`, the sweep. Being killed
means to lose everything that a process holds, and to be built anew.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import psycopg2

from email_service import consumer as email_consumer
from email_service.config import EmailSettings
from email_service.domain import Mail
from email_service.handlers import NotNow
from email_service.sender import InsistentLedger, Sender
from eventbus.batch import BatchConsumer, ConsumerOptions
from eventbus.clock import Clock
from eventbus.envelope import Outgoing
from eventbus.errors import EventBusError, PublishFailed
from eventbus.memory import MemoryBroker, MemoryConsumer, MemoryProducer
from eventbus.relay import Relay, RelayOptions, keep
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing
from faults.layout import Role
from faults.simulation.adapters import MemoryLedger, MemoryWaitingOrders
from faults.simulation.store import MemoryInbox, MemoryOutbox, Store
from order_service import consumer as order_consumer
from order_service import relay as order_relay
from order_service.handlers import sweep
from stock_service import consumer as stock_consumer
from stock_service.caching import NoCache

UNTRACED = Tracing(None, 0.0)
LEASE_SECONDS = 60.0
_SETTINGS = EmailSettings.from_env(
    {"DATABASE_URL": "postgresql://", "MAIL_LEASE_SECONDS": str(LEASE_SECONDS)}
)


class Killed(BaseException):
    """SIGKILL: no handler of the code under test may catch it."""


class Surroundings(Protocol):
    """What an actor needs of its world."""

    broker: MemoryBroker
    fenced: bool
    checked: bool

    @property
    def clock(self) -> Clock:
        """Virtual time."""
        ...

    def reach(self, actor: "Actor", moment: str) -> None:
        """Pass a place where a fault may wait."""
        ...

    def accept(self, mail: Mail) -> None:
        """The mail server took a mail."""
        ...


class Actor(ABC):
    """One process."""

    def __init__(self, role: str, store: Store, world: Surroundings) -> None:
        self.role = role
        self.store = store
        self.world = world
        self.build()

    @abstractmethod
    def build(self) -> None:
        """Come to life."""

    @abstractmethod
    def turn(self) -> None:
        """One turn of the loop."""

    def die(self) -> None:
        """Lose everything; what others must know of it is said by whoever holds something."""
        return

    def freeze(self) -> None:
        """Others believe that this one is dead."""
        return

    def step(self) -> None:
        """One turn; a process that fails is started anew."""
        try:
            self.turn()
        except (Killed, EventBusError, psycopg2.OperationalError):
            self.die()
            self.build()

    def reach(self, moment: str) -> None:
        """Pass a place where a fault may wait."""
        self.world.reach(self, moment)


@dataclass(frozen=True)
class Reading:
    """What a consumer of one service reads and does."""

    topic: str
    models: Any
    handle: Callable[[Any, Sequence[Any]], Callable[[], None] | None]


READINGS = {
    "order": Reading("stock-events", order_consumer.MODELS, order_consumer.handle),
    "stock": Reading(
        "stock-commands", stock_consumer.MODELS, stock_consumer.build_handler(NoCache())
    ),
    "email": Reading(
        "orders",
        email_consumer.MODELS,
        lambda cursor, messages: email_consumer.handle(cursor, messages, "shop@example.com"),
    ),
}


class ConsumerActor(Actor):
    """A member of a consumer group."""

    def build(self) -> None:
        """Join."""
        service = self.store.service
        reading = READINGS[service]
        group = f"{service}.consumer"
        letters = {reading.topic: f"{reading.topic}.{service}.dlq"}
        inbox = MemoryInbox(self.store, group, letters, self.reach, fenced=self.world.fenced)
        self.member = MemoryConsumer(self.world.broker, group)
        self._group = self.world.broker.group(group)
        self._away = False
        options = ConsumerOptions([reading.topic], reading.models)
        self._consumer = BatchConsumer(
            self.member, inbox, reading.handle, options, UNTRACED, self.world.clock
        )
        self.member.subscribe([reading.topic], self._consumer)

    def turn(self) -> None:
        """Poll and carry; after an absence, learn what was lost and join again."""
        if self._away:
            self._away = False
            self.member.target = set()
            self.member.poll(0.0, 0)
            self._group.members.append(self.member)
            self.world.broker.rebalance(self._group)
        self._consumer.step()

    def die(self) -> None:
        """The group finds out."""
        self._leave()

    def freeze(self) -> None:
        """Put out of the group without knowing it."""
        self._leave()
        self._away = True

    def seek_to_zero(self) -> None:
        """Everything that is assigned comes again."""
        for partition in self.member.lag():
            self.member.rewind(partition, 0)

    def _leave(self) -> None:
        if self.member in self._group.members:
            self._group.members.remove(self.member)
            self.world.broker.rebalance(self._group)


class _Producer:
    """Publishes a part of a batch and fails, if so ordered."""

    def __init__(self, actor: "RelayActor") -> None:
        self._actor = actor
        self._producer = MemoryProducer(actor.world.broker)

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """All or an error, unless nobody looks at the reports."""
        try:
            self._actor.reach("publishing")
            self._producer.publish(messages)
        except PublishFailed:
            if not self._actor.world.checked:
                return
            if self._actor.world.broker.available:
                self._producer.publish(messages[: len(messages) // 2])
            raise

    def close(self) -> None:
        """Nothing to give up."""


class RelayActor(Actor):
    """A relay; of two, one stands by."""

    def build(self) -> None:
        """Come to life without the lock."""
        self._queue = MemoryOutbox(self.store, self.reach)
        is_order = self.store.service == "order"
        topics = {name: name for name in ("orders", "stock-commands", "stock-events")}
        options = RelayOptions(
            f"/shop/{self.store.service}", topics, order_relay.expand if is_order else keep
        )
        self._relay = Relay(self._queue, _Producer(self), options, UNTRACED, self.world.clock)

    def turn(self) -> None:
        """Publish, if this one leads."""
        if self._queue.lead():
            self._relay.step()

    def die(self) -> None:
        """The session goes with the process."""
        self._queue.end_session()

    def freeze(self) -> None:
        """The server has ended the session."""
        self._queue.end_session()


class SweeperActor(Actor):
    """Looks after waiting orders."""

    def build(self) -> None:
        """Nothing is held between two rounds."""
        self._orders = MemoryWaitingOrders(self.store, self.reach)

    def turn(self) -> None:
        """One round."""
        sweep(self._orders, timedelta(seconds=120), timedelta(seconds=900))


class _Mailer:
    """The mail server as one sender sees it."""

    def __init__(self, actor: "SenderActor") -> None:
        self._actor = actor

    def offer(self, mail: Mail) -> None:
        """Nothing is known yet."""
        self._mail = mail

    def hand_over(self) -> None:
        """Nothing is known even now."""

    def result(self) -> None:
        """Refused, accepted, or accepted without a word."""
        self._actor.in_hand = self._mail
        self._actor.reach("sending")
        self._actor.world.accept(self._mail)
        self._actor.reach("accepted")


class SenderActor(Actor):
    """Sends what is due."""

    in_hand: Mail | None = None

    def build(self) -> None:
        """A sender with a session of its own."""
        stored = MemoryLedger(self.store, LEASE_SECONDS, self.reach)
        self._stop = threading.Event()
        self._heartbeat = Heartbeat()
        self._ledger = InsistentLedger(stored, self.world.clock, self._stop, self._heartbeat)
        self._sender = Sender(_SETTINGS, UNTRACED, self.world.clock)

    def turn(self) -> None:
        """One claim."""
        self._sender.step(self._ledger, [_Mailer(self)], self._stop, self._heartbeat)


def refused() -> Exception:
    """451, or silence after DATA."""
    return NotNow("451 try again later")


def build_actors(
    stores: dict[str, Store], roles: Sequence[Role], world: Surroundings
) -> list[Actor]:
    """One actor per replica; an API is no loop but is called."""
    kinds: dict[str, type[Actor]] = {
        "consumer": ConsumerActor,
        "relay": RelayActor,
        "sweeper": SweeperActor,
        "sender": SenderActor,
    }
    return [
        kinds[role.worker](role.name, stores[role.service], world)
        for role in roles
        if role.worker in kinds
        for _ in range(role.replicas)
    ]
