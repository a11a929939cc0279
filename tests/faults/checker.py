"""Holds the whole history against the final state; pure.

Each finding is of one sort: something was *lost*, something was *doubled*, or something is
*unexplained* (it happened, and no client and no fault accounts for it).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any

from faults.attribution import without_cause
from faults.history import Attempt, Operation, Outcome, Poison, Strike
from faults.layout import SENDING_THREADS, SMTP_TIMEOUT_SECONDS, readers_of
from faults.mailsink import Mail
from faults.observe import Cell, Logged, Move, Order, State

TEMPLATE_OF = {
    "OrderConfirmed": "confirmed",
    "OrderRejected": "rejected",
    "OrderCancelled": "cancelled",
}
HISTORIES = (
    ["OrderPlaced", "OrderConfirmed"],
    ["OrderPlaced", "OrderRejected"],
    ["OrderPlaced", "OrderCancelled"],
    ["OrderPlaced", "OrderConfirmed", "OrderCancelled"],
)
STATUS_AFTER = {
    "OrderPlaced": "PENDING",
    "OrderConfirmed": "CONFIRMED",
    "OrderRejected": "REJECTED",
    "OrderCancelled": "CANCELLED",
}
# Between a server's 250 and the sender's own note, these can end the sender, cut its way, or last
# longer than its lease. A server that is slow or busy is no excuse, nor is a database that was away
# for a moment; a server that drops its answer says so in the mail's own record.
OPENS_SEND_WINDOW = ("kill email.sender", "frozen sender", "disk full", "smtp reset")
_CROSSING_SECONDS = 0.25  # an answer so close to the end of the sender's patience may miss it
_SETTLING_SECONDS = 12.0  # after a fault is healed: the lease, a restart, a pause before trying


class Sort(StrEnum):
    """What is wrong."""

    LOST = "lost"
    DOUBLED = "doubled"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True)
class Finding:
    """One breach of one invariant."""

    sort: Sort
    invariant: str
    detail: str


@dataclass(frozen=True)
class Evidence:
    """Everything that is known about a run."""

    initial_stock: Mapping[str, int]
    attempts: Sequence[Attempt]
    strikes: Sequence[Strike]
    poisons: Sequence[Poison]
    mails: Sequence[Mail]
    state: State
    unordered_exits: Sequence[str] = field(default_factory=tuple)
    redriven: State | None = None  # the state after every dead letter was sent again


def check(evidence: Evidence) -> list[Finding]:
    """Every invariant over the whole history."""
    return [finding for rule in RULES for finding in rule(evidence)]


def attempts_of_keys(evidence: Evidence) -> Iterator[Finding]:
    """What succeeded exists once, what failed does not exist, same key means same order."""
    orders: dict[str, list[Order]] = defaultdict(list)
    for order in evidence.state.orders:
        orders[order.email].append(order)
    placed: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in evidence.attempts:
        if attempt.operation is Operation.PLACE:
            placed[attempt.email].append(attempt)
    for email, found in orders.items():
        if email not in placed:
            yield Finding(Sort.UNEXPLAINED, "an order nobody placed", found[0].id)
    for email, attempts in placed.items():
        yield from _key(email, attempts, orders.get(email, []))


def _key(email: str, attempts: Sequence[Attempt], found: Sequence[Order]) -> Iterator[Finding]:
    told = {attempt.order_id for attempt in attempts if attempt.outcome is Outcome.OK}
    first = attempts[0]
    if len(found) > 1:
        yield Finding(Sort.DOUBLED, "one key, one order", f"{email}: {[o.id for o in found]}")
    if len(told) > 1:
        yield Finding(Sort.DOUBLED, "same key, same order", f"{email}: {sorted(map(str, told))}")
    if told and not told <= {order.id for order in found}:
        yield Finding(Sort.LOST, "an accepted order is there", f"{email}: {sorted(map(str, told))}")
    if found and all(attempt.outcome is Outcome.FAIL for attempt in attempts):
        yield Finding(Sort.UNEXPLAINED, "a refused order is not there", f"{email}: {found[0].id}")
    for order in found:
        if (order.product, order.quantity, order.key) != (
            first.product,
            first.quantity,
            first.key,
        ):
            yield Finding(Sort.UNEXPLAINED, "an order is what was asked for", f"{email}: {order}")


def outcomes(evidence: Evidence) -> Iterator[Finding]:
    """Every order ends in exactly one outcome, and its events tell that story, each once."""
    events: dict[str, list[Logged]] = defaultdict(list)
    for event in evidence.state.event_log:
        events[event.order_id].append(event)
    known = {order.id for order in evidence.state.orders}
    for order_id in events.keys() - known:
        yield Finding(Sort.UNEXPLAINED, "events belong to an order", order_id)
    for order in evidence.state.orders:
        told = [event.type for event in events[order.id]]
        if order.status == "PENDING":
            yield Finding(Sort.LOST, "every order ends", f"{order.id} is PENDING, told: {told}")
        elif len(told) > len(set(told)):
            yield Finding(Sort.DOUBLED, "every event is told once", f"{order.id}: {told}")
        elif told not in HISTORIES or STATUS_AFTER[told[-1]] != order.status:
            detail = f"{order.id} is {order.status}, told: {told}"
            yield Finding(Sort.LOST, "the events tell the outcome", detail)
        elif order.version != len(told):
            yield Finding(Sort.UNEXPLAINED, "a version per event", f"{order}: {told}")


def cancellations(evidence: Evidence) -> Iterator[Finding]:
    """Who was told that an order is cancelled finds it cancelled; nobody else does."""
    status = {order.id: order.status for order in evidence.state.orders}
    asked = {a.order_id for a in evidence.attempts if a.operation is Operation.CANCEL}
    for attempt in evidence.attempts:
        cancelled = attempt.operation is Operation.CANCEL and attempt.outcome is Outcome.OK
        if cancelled and status.get(str(attempt.order_id)) != "CANCELLED":
            yield Finding(Sort.LOST, "a cancellation holds", str(attempt.order_id))
    for order_id, state in status.items():
        if state == "CANCELLED" and order_id not in asked:
            yield Finding(Sort.UNEXPLAINED, "cancelled by whom", order_id)


def stock_adds_up(evidence: Evidence) -> Iterator[Finding]:
    """What is left plus what was confirmed is what there was plus what was added."""
    sold: Counter[str] = Counter()
    for order in evidence.state.orders:
        if order.status == "CONFIRMED":
            sold[order.product] += order.quantity
    least, most = Counter(evidence.initial_stock), Counter(evidence.initial_stock)
    for attempt in evidence.attempts:
        if attempt.operation is Operation.ADD and attempt.outcome is not Outcome.FAIL:
            most[attempt.product] += attempt.quantity
            if attempt.outcome is Outcome.OK:
                least[attempt.product] += attempt.quantity
    for product in most.keys() | sold.keys() | evidence.state.stock.keys():
        left = evidence.state.stock.get(product, 0)
        there = left + sold[product]
        if there < least[product]:
            detail = f"{product}: {left} left + {sold[product]} sold < {least[product]}"
            yield Finding(Sort.DOUBLED, "stock adds up", detail)
        if there > most[product]:
            detail = f"{product}: {left} left + {sold[product]} sold > {most[product]}"
            yield Finding(Sort.LOST, "stock adds up", detail)
        if left < 0:
            yield Finding(Sort.DOUBLED, "stock is never negative", product)


def events_reached_kafka(evidence: Evidence) -> Iterator[Finding]:
    """What the log calls published is in the topic, and nothing else is."""
    told = {event.event_id for event in evidence.state.told}
    logged = {event.event_id for event in evidence.state.event_log}
    for event_id in sorted(logged - told):
        yield Finding(Sort.LOST, "a published event is in Kafka", event_id)
    for event_id in sorted(told - logged):
        yield Finding(Sort.UNEXPLAINED, "an event in Kafka was published", event_id)


def events_in_order(evidence: Evidence) -> Iterator[Finding]:
    """First copies of an order's events lie in the topic in the order of its versions."""
    latest: dict[str, int] = {}
    seen: set[str] = set()
    for event in evidence.state.told:
        if event.event_id in seen:
            continue
        seen.add(event.event_id)
        version = int(event.event_id.rpartition(":")[2])
        if version < latest.get(event.order_id, 0):
            yield Finding(Sort.UNEXPLAINED, "events of an order in order", event.event_id)
        latest[event.order_id] = version


def mails_went_out(evidence: Evidence) -> Iterator[Finding]:
    """Per outcome that was told, one intent and at least one accepted mail under one Message-ID."""
    intents: dict[tuple[str, str], list[str]] = defaultdict(list)
    for letter in evidence.state.letters:
        intents[letter.order_id, letter.template].append(letter.message_id)
    accepted = Counter(_mail_id(mail) for mail in evidence.mails)
    due = {
        (event.order_id, TEMPLATE_OF[event.type])
        for event in evidence.state.event_log
        if event.type in TEMPLATE_OF
    }
    for order_id, template in sorted(due):
        ids = intents.get((order_id, template), [])
        if not ids:
            yield Finding(Sort.LOST, "every outcome is a mail", f"{order_id} {template}: no intent")
        elif not any(accepted[mail_id] for mail_id in ids):
            yield Finding(Sort.LOST, "every outcome is a mail", f"{order_id} {template}: not sent")
        if len(ids) > 1:
            yield Finding(Sort.DOUBLED, "one Message-ID per outcome", f"{order_id} {template}")
    for order_id, template in sorted(intents.keys() - due):
        yield Finding(Sort.UNEXPLAINED, "a mail has an outcome", f"{order_id} {template}")
    known = {letter.message_id for letter in evidence.state.letters}
    for mail_id in accepted.keys() - known:
        yield Finding(Sort.UNEXPLAINED, "an accepted mail has an intent", mail_id)
    for letter in evidence.state.letters:
        if letter.state != "SENT":
            detail = f"{letter.order_id} {letter.template} is {letter.state}: {letter.last_error}"
            yield Finding(Sort.LOST, "every mail is sent", detail)


def second_copies(evidence: Evidence) -> Iterator[Finding]:
    """A mail accepted twice needs a fault between the copies that hid the first acceptance.

    One fault hides no more acceptances than there are mails in hand: one per sending thread. An
    answer that comes just as the sender gives up needs no fault (RFC 1047).
    """
    copies: dict[str, list[Mail]] = defaultdict(list)
    for mail in evidence.mails:
        copies[mail.message_id].append(mail)
    hidden: list[Mail] = []
    candidates: list[list[int]] = []
    for message_id, mails in copies.items():
        for earlier, later in pairwise(mails):
            crossed = abs(earlier.held - SMTP_TIMEOUT_SECONDS) < _CROSSING_SECONDS
            if crossed or not earlier.answered:
                continue
            hiding = [s.number for s in evidence.strikes if _may_hide(s, earlier, later)]
            if hiding:
                hidden.append(earlier)
                candidates.append(hiding)
            else:
                detail = f"{message_id} at {earlier.time:.2f} and {later.time:.2f}"
                yield Finding(Sort.DOUBLED, "a second copy has a cause", detail)
    for left in without_cause(candidates, SENDING_THREADS):
        faults = ", ".join(map(str, candidates[left]))
        detail = f"{hidden[left].message_id} is one too many for the faults {faults}"
        yield Finding(Sort.DOUBLED, "a fault hides what was in hand, no more", detail)


def _may_hide(strike: Strike, earlier: Mail, later: Mail) -> bool:
    begins, ends = strike.started - 1.0, strike.ended + _SETTLING_SECONDS
    opens = strike.kind.startswith(OPENS_SEND_WINDOW)
    return opens and begins <= later.time and ends >= earlier.time


def statistics(evidence: Evidence) -> Iterator[Finding]:
    """Every event that was told is counted once, in the minute of its time, and nothing else is."""
    if evidence.state.statistics is None:
        return
    of = {order.id: (order.product, order.quantity) for order in evidence.state.orders}
    told: Counter[Cell] = Counter()
    pieces: Counter[Cell] = Counter()
    for event in evidence.state.event_log:
        product, quantity = of.get(event.order_id, ("", 0))
        cell = event.minute, product, STATUS_AFTER[event.type]
        told[cell] += 1
        pieces[cell] += quantity
    counted = evidence.state.statistics
    for cell in sorted(told.keys() | counted.keys()):
        orders, quantity = counted.get(cell, (0, 0))
        if (orders, quantity) != (told[cell], pieces[cell]):
            detail = f"{cell}: {orders} of {quantity}, not {told[cell]} of {pieces[cell]}"
            sort = Sort.DOUBLED if orders > told[cell] else Sort.LOST
            yield Finding(sort, "every event is counted once", detail)


def nothing_waits(evidence: Evidence) -> Iterator[Finding]:
    """Outboxes are empty and every position is at the end."""
    for where, count in (*evidence.state.outbox.items(), *evidence.state.lag.items()):
        if count:
            yield Finding(Sort.LOST, "outbox and lag return to 0", f"{where}: {count}")


def each_record_once(evidence: Evidence) -> Iterator[Finding]:
    """Committed moves of a partition join without gap or overlap, except where we reset them."""
    position: dict[tuple[str, str], int] = {}
    for move in evidence.state.moves:
        where = (move.service, move.partition)
        yield from _join(move, position.get(where))
        position[where] = move.after


def _join(move: Move, position: int | None) -> Iterator[Finding]:
    if move.by_injector:
        return
    detail = f"{move.service} {move.partition}: {position} then {move.before}→{move.after}"
    if position is not None and move.after <= position:
        yield Finding(Sort.DOUBLED, "each record takes effect once", detail)
    elif move.before != position:
        yield Finding(Sort.UNEXPLAINED, "positions follow each other", detail)


def dead_letters(evidence: Evidence) -> Iterator[Finding]:
    """Each reader puts each poison aside once with a cause, forwards it, and nothing else."""
    aside = Counter((letter.origin, letter.service) for letter in evidence.state.dead_letters)
    readers = Counter(origin for origin, _ in aside)
    forwarded = Counter(evidence.state.forwarded)
    resets = Counter(move.service for move in evidence.state.moves if move.by_injector)
    poisons = {poison.origin for poison in evidence.poisons}
    for origin in sorted(poisons):
        if readers[origin] < max(1, len(readers_of(origin.partition("/")[0]))):
            yield Finding(Sort.LOST, "a poison record is put aside", origin)
    for origin in sorted(readers.keys() - poisons):
        yield Finding(Sort.UNEXPLAINED, "what is put aside was poison", origin)
    for origin in sorted(readers):
        if forwarded[origin] < readers[origin]:
            yield Finding(Sort.LOST, "a dead letter is forwarded", origin)
    for (origin, service), count in aside.items():
        if count > 1 + resets[service]:
            yield Finding(Sort.DOUBLED, "a poison record is put aside once", f"{origin}: {count}")
    for letter in evidence.state.dead_letters:
        if not letter.cause.strip():
            yield Finding(Sort.UNEXPLAINED, "a dead letter has a cause", letter.origin)


def redrive(evidence: Evidence) -> Iterator[Finding]:
    """Sent again unmended, a dead letter is put aside again for its cause; nothing else moves."""
    before, after = evidence.state, evidence.redriven
    if after is None:
        return
    kept = Counter((letter.service, letter.cause) for letter in before.dead_letters)
    back = Counter((letter.service, letter.cause) for letter in after.dead_letters) - kept
    sent = Counter(_heard_again(before))
    for letter in (sent - back).elements():
        yield Finding(Sort.LOST, "a dead letter survives redrive", str(letter))
    for letter in (back - sent).elements():
        yield Finding(Sort.DOUBLED, "a dead letter survives redrive", str(letter))
    for what in ("orders", "stock", "event_log", "letters", "statistics"):
        old, new = getattr(before, what), getattr(after, what)
        if _comparable(old) != _comparable(new):
            yield Finding(Sort.UNEXPLAINED, "a redrive of poison changes nothing", what)
    for where, count in (*after.outbox.items(), *after.lag.items()):
        if count:
            yield Finding(Sort.LOST, "a redrive comes to rest", f"{where}: {count}")


def _heard_again(state: State) -> Iterator[tuple[str, str]]:
    """Every reader of a topic hears what one of them sends again, and has its own words for it."""
    words = {(letter.origin, letter.service): letter.cause for letter in state.dead_letters}
    for letter in state.dead_letters:
        for reader in readers_of(letter.origin.partition("/")[0]) or [letter.service]:
            yield reader, words.get((letter.origin, reader), letter.cause)


def processes(evidence: Evidence) -> Iterator[Finding]:
    """A process ends when a fault is aimed at it; an outage is no reason, it is waited out."""
    for line in evidence.unordered_exits:
        yield Finding(Sort.UNEXPLAINED, "a process ended by itself", line)


def _comparable(rows: Sequence[object] | Mapping[Any, Any] | None) -> list[str]:
    return sorted(map(str, rows.items() if isinstance(rows, Mapping) else rows or ()))


def _mail_id(mail: Mail) -> str:
    return mail.message_id.strip("<>").partition("@")[0]


RULES: tuple[Callable[[Evidence], Iterator[Finding]], ...] = (
    attempts_of_keys,
    outcomes,
    cancellations,
    stock_adds_up,
    events_reached_kafka,
    events_in_order,
    mails_went_out,
    second_copies,
    statistics,
    nothing_waits,
    each_record_once,
    dead_letters,
    redrive,
    processes,
)
