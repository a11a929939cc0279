"""Draws a schedule, carries it out, lets the world come to rest and judges it."""

import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from email_service import consumer as email_consumer
from faults import observe
from faults.checker import Evidence, Finding, check
from faults.history import Outcome
from faults.observe import DeadLetter, Letter, Logged, Move, State
from faults.simulation import adapters
from faults.simulation.actors import READINGS
from faults.simulation.world import World, cancellation
from order_service import consumer as order_consumer
from order_service import handlers as order_handlers
from order_service.domain import Order
from order_service.handlers import TIMED_OUT
from stock_service import consumer as stock_consumer

_ROUNDS = 60
MUTATIONS = ("fence", "natural-key", "delivery-report")


@dataclass(frozen=True)
class Verdict:
    """One schedule and what was found."""

    seed: int
    faults: int
    orders: int
    findings: list[Finding]


def simulate(seed: int, mutation: str | None = None) -> Verdict:
    """The same seed gives the same schedule and the same verdict."""
    random.seed(seed)  # what the code under test draws: jitter
    world = World(seed, fenced=mutation != "fence", checked=mutation != "delivery-report")
    forgetful = mutation == "natural-key"
    shelf = adapters.ForgetfulShelf if forgetful else adapters.MemoryShelf
    with ExitStack() as stack:
        for owner, name, stand_in in (
            (stock_consumer, "PostgresShelf", shelf),
            (order_consumer, "PostgresPendingOrders", adapters.MemoryPendingOrders),
            (email_consumer, "PostgresIntents", adapters.MemoryIntents),
            (order_handlers, "new_id", world.new_id),
            (email_consumer, "new_id", world.new_id),
        ):
            stack.enter_context(patch.object(owner, name, stand_in))
        _happen(world)
        _come_to_rest(world)
    findings = check(_evidence(world))
    return Verdict(seed, world.faults, len(world.stores["order"].table("orders")), findings)


def _happen(world: World) -> None:
    """Twenty to a hundred and forty things, most of them someone's step."""
    actions: dict[Callable[[World], None], int] = {
        _step: 70,
        World.place: 10,
        World.again: 4,
        World.cancel: 4,
        World.arm: 14,
        World.poison: 1,
        _pass_time: 3,
        _seek: 1,
        _reset: 1,
        _leave: 1,
        _switch_broker: 2,
    }
    chosen = world.draw.choices(
        list(actions), weights=list(actions.values()), k=world.draw.randint(20, 140)
    )
    for action in chosen:
        action(world)


def _step(world: World) -> None:
    world.draw.choice(world.actors).step()


def _pass_time(world: World) -> None:
    world.clock.advance(world.draw.choice((0.5, 5.0, 70.0, 130.0)))


def _seek(world: World) -> None:
    world.faults += 1
    world.draw.choice(world.consumers()).seek_to_zero()


def _reset(world: World) -> None:
    """Someone sets stored positions to zero by hand."""
    store = world.stores[world.draw.choice(list(READINGS))]
    for key, position in store.positions.items():
        store.positions[key] = 0
        where = f"{key[1]}/{key[2]}"
        store.moves.append(Move(store.service, where, position, 0, by_injector=True))
        world.faults += 1


def _leave(world: World) -> None:
    """A member leaves its group and another takes its place."""
    actor = world.draw.choice(world.consumers())
    actor.die()
    actor.build()


def _switch_broker(world: World) -> None:
    world.faults += world.broker.available
    world.broker.available = not world.broker.available


def _come_to_rest(world: World) -> None:
    """No more faults; everybody takes turns until nothing moves.

    Consumers start anew: who sets positions by hand restarts those who hold them, or waits for the
    next record of the partition.
    """
    world.disarm()
    for consumer in world.consumers():
        consumer.die()
        consumer.build()
    for _ in range(_ROUNDS):
        for actor in world.actors:
            actor.step()
        world.clock.advance(65.0)
        if _is_quiet(world):
            return


def _is_quiet(world: World) -> bool:
    mails = world.stores["email"].table("mail").values()
    return (
        not any(store.outbox for store in world.stores.values())
        and not any(_lag(world).values())
        and all(state in ("SENT", "DEAD") for _, state, _, _ in mails)
    )


def _lag(world: World) -> dict[str, int]:
    lag = {}
    for service, reading in READINGS.items():
        read = sum(world.stores[service].positions.values())
        lag[service] = len(world.broker.records(reading.topic)) - read
    return lag


def _evidence(world: World) -> Evidence:
    orders: list[Order] = list(world.stores["order"].table("orders").values())
    timed_out = [
        cancellation(order.id, Outcome.UNKNOWN) for order in orders if order.reason == TIMED_OUT
    ]
    return Evidence(
        initial_stock=MappingProxyType(world.initial_stock),
        attempts=[*world.attempts, *timed_out],
        strikes=(),
        poisons=world.poisons,
        mails=world.accepted(),
        state=_state(world, orders),
    )


def _state(world: World, orders: list[Order]) -> State:
    stores = world.stores
    keys = {order_id: key for key, order_id in stores["order"].table("keys").items()}
    letters: list[DeadLetter] = [x for s in stores.values() for x in s.dead_letters]
    return State(
        orders=[
            observe.Order(
                o.id, keys[o.id], o.product, o.quantity, o.customer_email, o.status, o.version
            )
            for o in orders
        ],
        stock=dict(stores["stock"].table("stock")),
        event_log=stores["order"].event_log,
        told=_told(world),
        letters=[
            Letter(mail_id, letter.order_id, letter.template, state, None)
            for mail_id, (letter, state, _, _) in stores["email"].table("mail").items()
        ],
        dead_letters=letters,
        forwarded=[
            dict(record.headers)["dlq_origin"].decode()
            for service, reading in READINGS.items()
            for record in world.broker.records(f"{reading.topic}.{service}.dlq")
        ],
        moves=[move for store in stores.values() for move in store.moves],
        outbox={name: len(store.outbox) for name, store in stores.items()},
        lag=_lag(world),
    )


def _told(world: World) -> list[Logged]:
    told = []
    for record in world.broker.records("orders"):
        headers: dict[str, Any] = dict(record.headers)
        if headers.get("ce_source") == b"/shop/order":
            told.append(
                Logged(
                    headers["ce_id"].decode(),
                    headers["ce_type"].decode(),
                    headers["ce_subject"].decode(),
                )
            )
    return told
