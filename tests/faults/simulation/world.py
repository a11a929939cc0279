"""One random schedule in memory: three services, a broker, a mail server, and one seed.

Everything that happens is drawn from the seed: who takes the next step, which fault waits where,
what the clients ask for. A frozen process is one inside whose step the others take theirs.
"""

import random
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg2

from email_service.domain import Mail as DueMail
from eventbus.envelope import Outgoing
from eventbus.errors import PublishFailed, Unavailable
from eventbus.memory import MemoryBroker
from faults.history import Attempt, Operation, Outcome, Poison
from faults.layout import ROLES, SERVICES
from faults.mailsink import Mail
from faults.simulation.actors import (
    LEASE_SECONDS,
    READINGS,
    Actor,
    ConsumerActor,
    Killed,
    RelayActor,
    SenderActor,
    build_actors,
    refused,
)
from faults.simulation.adapters import MemoryOrders, add_stock
from faults.simulation.store import Store, outage
from order_service.domain import NotCancellable, Order
from order_service.handlers import cancel_order, place_order
from order_service.messages import PlaceOrder

# Which faults can wait at which moment of which worker.
FAULTS: dict[str, dict[str, tuple[str, ...]]] = {
    "consumer": {
        "positions": ("outage",),
        "received": ("kill", "outage", "freeze", "freeze"),
        "handled": ("kill", "outage"),
        "committed": ("kill", "outage"),
    },
    "relay": {
        "taken": ("kill", "outage", "freeze"),
        "publishing": ("fail",),
        "published": ("kill", "outage"),
        "cleared": ("kill", "outage"),
    },
    "sender": {
        "asked": ("kill", "outage"),
        "sending": ("kill", "refuse", "freeze"),
        "accepted": ("kill", "refuse", "freeze"),
        "noting": ("outage", "kill"),
        "recorded": ("kill", "outage"),
    },
    "sweeper": {"asked": ("outage",), "swept": ("kill", "outage")},
    "api": {"asked": ("kill", "outage"), "stored": ("kill", "outage")},
}
PRODUCTS = ("p1", "p2", "scarce")


class VirtualClock:
    """Moves when somebody waits, and a little when somebody looks."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> datetime:
        """The virtual date."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Loops that wait for a time come to it."""
        self._seconds += 0.02
        return self._seconds

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """At once."""
        self.advance(seconds)
        return stop.is_set()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._seconds += max(0.0, seconds)


class World:
    """Everything there is in one schedule."""

    def __init__(self, seed: int, *, fenced: bool = True, checked: bool = True) -> None:
        self.draw = random.Random(seed)  # noqa: S311  # reproducible, not secret
        self.clock = VirtualClock()
        self.broker = MemoryBroker()
        self.fenced = fenced
        self.checked = checked
        for reading in READINGS.values():
            self.broker.create_topic(reading.topic, self.draw.randint(1, 3))
        for service, reading in READINGS.items():
            self.broker.create_topic(f"{reading.topic}.{service}.dlq")
        self.stores = {name: Store(name, self.clock) for name in SERVICES}
        self._armed: dict[str, str] = {}
        self._frozen: list[Actor] = []
        self.faults = 0
        self.excused: set[str] = set()
        self.mails: list[str] = []
        self.attempts: list[Attempt] = []
        self.poisons: list[Poison] = []
        self.initial_stock = {"p1": 1_000, "p2": 1_000, "scarce": 9}
        for product, quantity in self.initial_stock.items():
            add_stock(self.stores["stock"], product, quantity)
        self.actors = build_actors(self.stores, ROLES, self)

    # --- faults ---

    def arm(self) -> None:
        """A fault waits somewhere."""
        worker = self.draw.choice(list(FAULTS))
        moment = self.draw.choice(list(FAULTS[worker]))
        roles = [role.name for role in ROLES if role.worker == worker]
        point = f"{self.draw.choice(roles)}.{moment}"
        self._armed[point] = self.draw.choice(FAULTS[worker][moment])

    def disarm(self) -> None:
        """No fault waits any more."""
        self._armed.clear()
        self.broker.available = True

    def reach(self, actor: Actor, moment: str) -> None:
        """Pass a place where a fault may wait; inside a frozen actor's step nobody else freezes."""
        fault = self._armed.get(f"{actor.role}.{moment}")
        if fault is None or (fault == "freeze" and self._frozen):
            return
        del self._armed[f"{actor.role}.{moment}"]
        self._befall(actor, moment, fault)

    def _befall(self, actor: Actor, moment: str, fault: str) -> None:
        self.faults += 1
        if isinstance(actor, SenderActor) and actor.in_hand and moment != "asked":
            self.excused.add(actor.in_hand.id)
        if fault == "kill":
            raise Killed
        if fault == "fail":
            raise PublishFailed("ordered")
        if fault == "refuse":
            raise refused()
        if fault == "outage":
            raise Unavailable("ordered") if isinstance(actor, RelayActor) else outage("ordered")
        self._freeze(actor)

    def _freeze(self, actor: Actor) -> None:
        actor.freeze()
        self._frozen.append(actor)
        if isinstance(actor, SenderActor):
            self.clock.advance(LEASE_SECONDS + 1)
        others = [other for other in self.actors if other is not actor]
        for _ in range(self.draw.randint(1, 12)):
            self.draw.choice(others).step()
        self._frozen.pop()

    # --- clients ---

    def place(self, key: str | None = None) -> None:
        """A new wish, or an old one again under its key."""
        number = int(key.partition("-")[2]) if key else len(self.attempts) + 1
        wish = random.Random(number)  # noqa: S311  # the same key asks for the same
        product = wish.choice((*PRODUCTS, "never-added"))
        quantity = wish.randint(1, 4)
        key = key or f"key-{number}"
        email = f"{key}@example.com"
        command = PlaceOrder(product=product, quantity=quantity, customerEmail=email)
        outcome, order = self._call(
            lambda orders: place_order(command, key, orders, self.clock, None)
        )
        order_id = order.id if order else None
        self.attempts.append(
            Attempt(Operation.PLACE, key, product, quantity, email, 0, 0, outcome, None, order_id)
        )

    def again(self) -> None:
        """A client repeats itself, whether it needs to or not."""
        keys = sorted({a.key for a in self.attempts if a.operation is Operation.PLACE})
        if keys:
            self.place(self.draw.choice(keys))

    def cancel(self) -> None:
        """A client changes its mind."""
        known = sorted({a.order_id for a in self.attempts if a.order_id})
        if not known:
            return
        order_id = self.draw.choice(known)
        outcome, _ = self._call(lambda orders: cancel_order(order_id, orders, None))
        self.attempts.append(cancellation(order_id, outcome))

    def _call(self, work: Callable[[MemoryOrders], Order]) -> tuple[Outcome, Order | None]:
        """A request: answered, refused, or never answered."""
        orders = MemoryOrders(self.stores["order"], self._reach_api)
        try:
            return Outcome.OK, work(orders)
        except NotCancellable:
            return Outcome.FAIL, None
        except (Killed, psycopg2.OperationalError):
            return Outcome.UNKNOWN, None

    def _reach_api(self, moment: str) -> None:
        fault = self._armed.pop(f"order.api.{moment}", None)
        if fault is not None:
            self.faults += 1
            raise Killed if fault == "kill" else outage("ordered")

    # --- the mail server, and others ---

    def accept(self, mail: DueMail) -> None:
        """The mail server took a mail."""
        self.mails.append(mail.id)

    def accepted(self) -> list[Mail]:
        """Every acceptance; those that a fault hid from the sender do not count as answered."""
        return [
            Mail(float(n), mail_id, "", "", mail_id not in self.excused)
            for n, mail_id in enumerate(self.mails)
        ]

    def poison(self) -> None:
        """A record that nobody can read."""
        if not self.broker.available:
            return
        topic = self.draw.choice(list(READINGS.values())).topic
        key = f"poison-{self.draw.random()}".encode()
        before = {(r.partition, r.offset) for r in self.broker.records(topic)}
        self.broker.append(Outgoing(topic, key, b"\xff", ()))
        for record in self.broker.records(topic):
            if (record.partition, record.offset) not in before:
                self.poisons.append(Poison(f"{topic}/{record.partition}/{record.offset}"))

    def consumers(self) -> list[ConsumerActor]:
        """Everyone who reads."""
        return [actor for actor in self.actors if isinstance(actor, ConsumerActor)]

    def new_id(self) -> str:
        """Identifiers from the seed."""
        return str(uuid.UUID(int=self.draw.getrandbits(128), version=4))


def cancellation(order_id: str, outcome: Outcome) -> Attempt:
    """Someone asked for an order to be cancelled."""
    return Attempt(Operation.CANCEL, "", "", 0, "", 0, 0, outcome, None, order_id)
