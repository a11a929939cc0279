"""Deciding about orders; pure.

A batch of commands is decided in the order of its partition, against the stock and the
reservations that were read (and locked) for it. A decision is made once per order and told again
when it is asked for again. A release that overtakes its reserve leaves a mark, so that the late
reserve is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

EVENTS = "stock-events"

UNKNOWN_PRODUCT = "unknown product"
OUT_OF_STOCK = "out of stock"
CANCELLED = "cancelled"


class State(StrEnum):
    """What became of an order's demand."""

    RESERVED = "RESERVED"
    REFUSED = "REFUSED"
    RELEASED = "RELEASED"


@dataclass(frozen=True, slots=True)
class Reservation:
    """One order's claim on one product."""

    order_id: str
    product: str
    quantity: int
    state: State
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """Reserve or release; several of one order may stand in one batch."""

    release: bool
    order_id: str
    product: str
    quantity: int
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What is told to whoever waits for the order's decision."""

    type: str
    reservation: Reservation
    traceparent: str | None


@dataclass(slots=True)
class Decisions:
    """What a batch changes."""

    stock: dict[str, int] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)


def decide(
    commands: Sequence[Command],
    stock: Mapping[str, int],
    reservations: Mapping[str, Reservation],
) -> Decisions:
    """Decide a batch; what is read is given, what is to be written is returned."""
    decisions = Decisions()
    for command in commands:
        known = decisions.reservations.get(command.order_id) or reservations.get(command.order_id)
        left = decisions.stock.get(command.product, stock.get(command.product))
        outcome = _release(command, known) if command.release else known or _reserve(command, left)
        if outcome is not known:
            decisions.reservations[outcome.order_id] = outcome
            change = _change(known, outcome)
            if change:
                decisions.stock[outcome.product] = (left or 0) + change
        decisions.replies.append(_reply(command, outcome))
    return decisions


def _reserve(command: Command, left: int | None) -> Reservation:
    state, reason = State.RESERVED, None
    if left is None:
        state, reason = State.REFUSED, UNKNOWN_PRODUCT
    elif left < command.quantity:
        state, reason = State.REFUSED, OUT_OF_STOCK
    return Reservation(command.order_id, command.product, command.quantity, state, reason)


def _release(command: Command, known: Reservation | None) -> Reservation:
    if known is not None and known.state is not State.RESERVED:
        return known
    return Reservation(
        command.order_id, command.product, command.quantity, State.RELEASED, CANCELLED
    )


def _change(before: Reservation | None, after: Reservation) -> int:
    """How the stock moves from one state to the next."""
    held = before.quantity if before is not None and before.state is State.RESERVED else 0
    holds = after.quantity if after.state is State.RESERVED else 0
    return held - holds


def _reply(command: Command, outcome: Reservation) -> Reply:
    if command.release:
        return Reply("StockReleased", outcome, command.traceparent)
    reserved = outcome.state is State.RESERVED
    return Reply("StockReserved" if reserved else "StockRejected", outcome, command.traceparent)
