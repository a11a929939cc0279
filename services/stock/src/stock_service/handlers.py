"""Use cases of the stock service: decide a batch of commands, add, reduce."""

from collections.abc import Collection, Sequence
from typing import Protocol

from stock_service.caching import Level
from stock_service.domain import Command, Decisions, Reservation, decide


class Shelf(Protocol):
    """Stock and reservations inside one transaction."""

    def lock(self, products: Collection[str]) -> dict[str, int]:
        """What is left of each known product, locked until the transaction ends."""
        ...

    def reservations(self, order_ids: Collection[str]) -> dict[str, Reservation]:
        """What was decided about these orders before."""
        ...

    def write(self, decisions: Decisions) -> Sequence[Level]:
        """Store the outcome and announce it; answers the levels that it changed."""
        ...


def decide_batch(commands: Sequence[Command], shelf: Shelf) -> tuple[Decisions, Sequence[Level]]:
    """Lock, decide, write: three statements for a batch, whatever its size."""
    stock = shelf.lock({command.product for command in commands})
    known = shelf.reservations({command.order_id for command in commands})
    decisions = decide(commands, stock, known)
    return decisions, shelf.write(decisions)
