"""Counts what became of every accepted order: in three databases and at the mail sink.

An order is lost when it was accepted and is not there, has no outcome, or has no mail although it
ended; doubled is a second event, outcome, reservation or mail of the same order. An order whose
answer never came may be there or not.
"""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2

from eventbench.results import Counts
from eventbench.stack import Shop

_STALLED_SECONDS = 30.0
_ENDED = ("CONFIRMED", "REJECTED", "CANCELLED")
_END_EVENTS = ("OrderConfirmed", "OrderRejected", "OrderCancelled")


@dataclass(frozen=True, slots=True)
class OrderFate:
    """One order: when it was placed, when its present status was committed, when it was mailed."""

    status: str
    placed_at: float
    settled_at: float
    mailed_at: float | None = None


@dataclass
class Evidence:
    """Everything that the stores say, read once when the shop has come to rest."""

    orders: dict[str, OrderFate] = field(default_factory=dict)
    placed_events: Counter[str] = field(default_factory=Counter)
    end_events: Counter[str] = field(default_factory=Counter)
    outbox: Counter[str] = field(default_factory=Counter)
    stock: dict[str, int] = field(default_factory=dict)
    reserved: dict[str, int] = field(default_factory=dict)
    reservations: set[str] = field(default_factory=set)
    mails: Counter[str] = field(default_factory=Counter)
    letters: dict[str, str] = field(default_factory=dict)


def count_mails(record: Path) -> int:
    """How many mails the sink has taken so far."""
    with record.open("rb") as lines:
        return sum(1 for _ in lines)


def wait_until_settled(shop: Shop, mails: int, limit_seconds: float) -> bool:
    """Until every order has ended and is mailed; False when nothing moves any more."""
    deadline = time.monotonic() + limit_seconds
    moved_at, last = time.monotonic(), -1
    while time.monotonic() < deadline:
        arrived = count_mails(shop.sinks.record)
        if arrived >= mails and _is_at_rest(shop):
            return True
        if arrived != last:
            moved_at, last = time.monotonic(), arrived
        elif time.monotonic() - moved_at > _STALLED_SECONDS:
            return False
        time.sleep(0.2)
    return False


def collect_evidence(shop: Shop) -> Evidence:
    """Read all stores."""
    evidence = Evidence()
    _read_orders(shop, evidence)
    _read_stock(shop, evidence)
    _read_mails(shop, evidence)
    return evidence


def audit_stored(accepted: Sequence[str], counts: Counts, evidence: Evidence) -> None:
    """Workers stopped: each accepted order is there with exactly one row in the outbox."""
    _audit_presence(accepted, counts, evidence)
    stored = evidence.orders
    counts.lose(sum(1 for order in stored if not evidence.outbox[order]), "orders without outbox")
    counts.double(
        sum(count - 1 for order, count in evidence.outbox.items() if count > 1),
        "outbox rows of one order",
    )


def audit_finished(
    accepted: Sequence[str], initial_stock: int, counts: Counts, evidence: Evidence
) -> None:
    """Everything ran: each order has one outcome, each outcome one mail, and stock adds up."""
    _audit_presence(accepted, counts, evidence)
    ended = {order for order, fate in evidence.orders.items() if fate.status in _ENDED}
    counts.finished = len(ended)
    counts.lose(len(evidence.orders) - len(ended), "orders without an outcome")
    _audit_events(ended, counts, evidence)
    _audit_stock(initial_stock, counts, evidence)
    _audit_mails(ended, counts, evidence)


def _audit_presence(accepted: Sequence[str], counts: Counts, evidence: Evidence) -> None:
    distinct = set(accepted)
    counts.accepted = len(accepted)
    counts.double(len(accepted) - len(distinct), "answers with the same order")
    counts.lose(len(distinct - evidence.orders.keys()), "accepted orders that are not stored")
    surplus = len(evidence.orders.keys() - distinct)
    counts.double(max(0, surplus - counts.unknown), "stored orders that nobody asked for")


def _audit_events(ended: set[str], counts: Counts, evidence: Evidence) -> None:
    counts.lose(
        sum(1 for order in evidence.orders if not evidence.placed_events[order]),
        "orders never announced",
    )
    counts.lose(
        sum(1 for order in ended if not evidence.end_events[order]), "outcomes never announced"
    )
    counts.double(
        sum(count - 1 for count in evidence.placed_events.values() if count > 1),
        "announcements of one order",
    )
    counts.double(
        sum(count - 1 for count in evidence.end_events.values() if count > 1),
        "outcomes of one order",
    )


def _audit_stock(initial: int, counts: Counts, evidence: Evidence) -> None:
    confirmed = {o for o, fate in evidence.orders.items() if fate.status == "CONFIRMED"}
    counts.lose(len(confirmed - evidence.reservations), "confirmed orders without reservation")
    counts.double(len(evidence.reservations - confirmed), "reservations without a confirmed order")
    for product, quantity in evidence.stock.items():
        taken = initial - quantity - evidence.reserved.get(product, 0)
        counts.double(max(0, taken), f"pieces of {product} taken too often")
        counts.lose(max(0, -taken), f"pieces of {product} reserved but not taken")


def _audit_mails(ended: set[str], counts: Counts, evidence: Evidence) -> None:
    per_order: Counter[str] = Counter()
    for mail, times in evidence.mails.items():
        order = evidence.letters.get(mail)
        if order is None:
            counts.double(times, "mails that the ledger does not know")
        else:
            per_order[order] += times
    counts.mailed = sum(per_order.values())
    counts.lose(sum(1 for order in ended if not per_order[order]), "outcomes never mailed")
    counts.double(sum(count - 1 for count in per_order.values() if count > 1), "mails of one order")


def _is_at_rest(shop: Shop) -> bool:
    databases = shop.site.databases
    questions = [
        ("order", "SELECT NOT EXISTS (SELECT FROM orders WHERE status = 'PENDING')"),
        *((service, "SELECT NOT EXISTS (SELECT FROM outbox)") for service in databases),
        ("email", "SELECT NOT EXISTS (SELECT FROM mail WHERE state IN ('QUEUED', 'SENDING'))"),
    ]
    return all(_rows(databases[service], question)[0][0] for service, question in questions)


def _read_orders(shop: Shop, evidence: Evidence) -> None:
    url = shop.site.databases["order"]
    fates = _rows(
        url,
        "SELECT order_id::text, status, extract(epoch FROM created_at)::float8,"
        " extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 FROM orders",
    )
    evidence.orders = {row[0]: OrderFate(row[1], row[2], row[3]) for row in fates}
    events = _rows(url, "SELECT subject, type, count(*) FROM event_log GROUP BY subject, type")
    for subject, kind, count in events:
        if kind == "OrderPlaced":
            evidence.placed_events[subject] += count
        elif kind in _END_EVENTS:
            evidence.end_events[subject] += count
    evidence.outbox = Counter(dict(_rows(url, "SELECT subject, count(*) FROM outbox GROUP BY 1")))


def _read_stock(shop: Shop, evidence: Evidence) -> None:
    url = shop.site.databases["stock"]
    evidence.stock = dict(_rows(url, "SELECT product, quantity FROM stock"))
    reserved = _rows(
        url, "SELECT order_id::text, product, quantity FROM reservation WHERE state = 'RESERVED'"
    )
    for order, product, quantity in reserved:
        evidence.reservations.add(order)
        evidence.reserved[product] = evidence.reserved.get(product, 0) + quantity


def _read_mails(shop: Shop, evidence: Evidence) -> None:
    mails = _rows(shop.site.databases["email"], "SELECT mail_id::text, order_id FROM mail")
    evidence.letters = dict(mails)
    first: dict[str, float] = {}
    for line in shop.sinks.record.read_text().splitlines():
        at, message_id, _ = line.split("\t")
        mail = message_id.strip("<>").partition("@")[0]
        evidence.mails[mail] += 1
        order = evidence.letters.get(mail)
        if order is not None:
            first.setdefault(order, float(at))
    for order, taken_at in first.items():
        if order in evidence.orders:
            evidence.orders[order] = replace(evidence.orders[order], mailed_at=taken_at)


def _rows(url: str, query: str) -> list[Any]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()
