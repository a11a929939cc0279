"""The services' ports over a `Store`: what their Postgres adapters do, without Postgres.

Names are those of the adapters that they stand for; `world` puts them in their place, so that the
services' own consumers, handlers and models run unchanged.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg2

from email_service.domain import Letter, Outcome
from email_service.domain import Mail as DueMail
from email_service.domain import State as MailState
from faults.simulation.store import Reach, Store
from order_service.domain import Order, Status, Verdict
from order_service.messages import announce as announce_order
from order_service.relay import reserve_command
from stock_service.caching import Level
from stock_service.domain import Decisions, Reservation
from stock_service.messages import announce as announce_reply


class MemoryOrders:
    """Orders for the API."""

    def __init__(self, store: Store, reach: Reach) -> None:
        self._store = store
        self._reach = reach

    def place(self, order: Order, key: str | None, traceparent: str | None) -> bool:
        """Order and outbox row; False if the key is taken."""
        self._reach("asked")
        if key in self._store.table("keys"):
            return False
        with self._store.transaction():
            self._store.table("orders")[order.id] = order
            self._store.table("keys")[key] = order.id
            self._store.append([announce_order(order, traceparent)])
        self._reach("stored")
        return True

    def by_key(self, key: str) -> Order | None:
        """The order of a key."""
        order_id = self._store.table("keys").get(key)
        return self.get(order_id) if order_id else None

    def get(self, order_id: str) -> Order | None:
        """One order."""
        return self._store.table("orders").get(order_id)

    def replace(self, order: Order, traceparent: str | None) -> bool:
        """Guarded by the version."""
        self._reach("asked")
        stored = self.get(order.id)
        if stored is None or stored.version != order.version - 1:
            return False
        with self._store.transaction():
            self._store.table("orders")[order.id] = order
            self._store.append([announce_order(order, traceparent)])
        self._reach("stored")
        return True


class MemoryPendingOrders:
    """Orders for the consumer, inside a batch's transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def settle(self, verdicts: Sequence[Verdict]) -> int:
        """Those that are PENDING."""
        orders = self._store.table("orders")
        settled = 0
        for verdict in verdicts:
            order = orders.get(verdict.order_id)
            if order is None or order.status is not Status.PENDING:
                continue
            ended = replace(
                order, status=verdict.status, reason=verdict.reason, version=order.version + 1
            )
            orders[order.id] = ended
            self._store.append([announce_order(ended, verdict.traceparent)])
            settled += 1
        return settled


class MemoryWaitingOrders:
    """Orders for the sweeper."""

    def __init__(self, store: Store, reach: Reach) -> None:
        self._store = store
        self._reach = reach

    def remind(self, older_than: timedelta, limit: int) -> int:
        """The command once more."""
        self._reach("asked")
        waiting = self._waiting(older_than)[:limit]
        with self._store.transaction():
            self._store.append([reserve_command(order) for order in waiting])
        self._reach("swept")
        return len(waiting)

    def expire(self, older_than: timedelta, reason: str, limit: int) -> int:
        """Cancel."""
        waiting = self._waiting(older_than)[:limit]
        with self._store.transaction():
            for order in waiting:
                ended = replace(
                    order, status=Status.CANCELLED, reason=reason, version=order.version + 1
                )
                self._store.table("orders")[order.id] = ended
                self._store.append([announce_order(ended, None)])
        return len(waiting)

    def _waiting(self, older_than: timedelta) -> list[Order]:
        now = self._store.clock.now()
        orders: list[Order] = list(self._store.table("orders").values())
        return [o for o in orders if o.status is Status.PENDING and o.created_at < now - older_than]


class MemoryShelf:
    """Stock for the consumer, inside a batch's transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def lock(self, products: Collection[str]) -> dict[str, int]:
        """What is left."""
        stock = self._store.table("stock")
        return {product: stock[product] for product in products if product in stock}

    def reservations(self, order_ids: Collection[str]) -> dict[str, Reservation]:
        """What was decided before."""
        known = self._store.table("reservation")
        return {order_id: known[order_id] for order_id in order_ids if order_id in known}

    def write(self, decisions: Decisions) -> Sequence[Level]:
        """Stock, reservations, answers; nobody keeps copies here."""
        if any(left < 0 for left in decisions.stock.values()):
            raise psycopg2.IntegrityError("stock_quantity_check")
        self._store.table("stock").update(decisions.stock)
        self._store.table("reservation").update(decisions.reservations)
        self._store.append([announce_reply(reply) for reply in decisions.replies])
        return []


class ForgetfulShelf(MemoryShelf):
    """Without the natural key."""

    def reservations(self, order_ids: Collection[str]) -> dict[str, Reservation]:  # noqa: ARG002
        """Nothing was ever decided."""
        return {}


class MemoryIntents:
    """The mail ledger for the consumer, inside a batch's transaction."""

    def __init__(self, store: Store, sender: str) -> None:
        self._store = store
        del sender

    def note(self, letters: Sequence[Letter]) -> int:
        """Each key once."""
        mails, keys = self._store.table("mail"), self._store.table("mail_keys")
        new = 0
        for letter in letters:
            if letter.dedupe_key not in keys:
                keys[letter.dedupe_key] = letter.id
                mails[letter.id] = (letter, MailState.QUEUED, 0, self._store.clock.now())
                new += 1
        return new


class MemoryLedger:
    """The mail ledger for senders."""

    def __init__(self, store: Store, lease: float, reach: Reach) -> None:
        self._store = store
        self._lease = timedelta(seconds=lease)
        self._reach = reach

    def claim(self, limit: int) -> list[DueMail]:
        """Due ones, with a lease."""
        self._reach("asked")
        now = self._store.clock.now()
        mails = self._store.table("mail")
        due = [
            mail_id
            for mail_id, (_, state, _, due_at) in mails.items()
            if state in (MailState.QUEUED, MailState.SENDING) and due_at <= now
        ][:limit]
        for mail_id in due:
            letter, _, attempts, _ = mails[mail_id]
            mails[mail_id] = (letter, MailState.SENDING, attempts + 1, now + self._lease)
        return [self._due(mail_id, now) for mail_id in due]

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Guarded by the attempt."""
        self._reach("noting")
        for outcome in outcomes:
            self._note(outcome)
        self._reach("recorded")

    def _note(self, outcome: Outcome) -> None:
        mail = outcome.mail
        letter, stored, attempts, _ = self._store.table("mail")[mail.id]
        if stored is MailState.SENDING and attempts == mail.attempts:
            due = self._store.clock.now() + timedelta(seconds=outcome.retry_in or 0.0)
            self._store.table("mail")[mail.id] = (letter, outcome.state, attempts, due)

    def _due(self, mail_id: str, now: datetime) -> DueMail:
        letter, _, attempts, _ = self._store.table("mail")[mail_id]
        return DueMail(
            mail_id, letter.template, letter.recipient, "", "", None, attempts, now, None
        )


def add_stock(store: Store, product: str, quantity: int) -> None:
    """POST /stock/add."""
    stock = store.table("stock")
    stock[product] = stock.get(product, 0) + quantity
