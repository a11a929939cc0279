"""The judge of fault runs: silent about a good history, never about a planted breach."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from faults.checker import Evidence, Sort, check
from faults.history import Attempt, Operation, Outcome, Poison, Strike
from faults.layout import SENDING_THREADS, topic
from faults.mailsink import Mail
from faults.observe import DeadLetter, Letter, Logged, Move, Order, State

PLACED = Attempt(
    Operation.PLACE, "k1", "book", 2, "ada@example.com", 1.0, 1.1, Outcome.OK, 202, "o1"
)
ORDER = Order("o1", "k1", "book", 2, "ada@example.com", "CONFIRMED", 2)
STATE = State(
    orders=[ORDER],
    stock={"book": 8},
    event_log=[Logged("o1:1", "OrderPlaced", "o1", 7), Logged("o1:2", "OrderConfirmed", "o1", 8)],
    told=[Logged("o1:1", "OrderPlaced", "o1"), Logged("o1:2", "OrderConfirmed", "o1")],
    letters=[Letter("m1", "o1", "confirmed", "SENT", None)],
    dead_letters=[DeadLetter("stock", "stock-commands/0/3", "no JSON")],
    forwarded=["stock-commands/0/3"],
    moves=[Move("stock", "t/0", None, 3, False), Move("stock", "t/0", 3, 4, False)],
    outbox={"order": 0},
    lag={"stock/stock-commands": 0},
    statistics={(7, "book", "PENDING"): (1, 2), (8, "book", "CONFIRMED"): (1, 2)},
)
MAIL = Mail(5.0, "<m1@example.com>", "ada@example.com", "Order Created", answered=True)
GOOD = Evidence(
    initial_stock={"book": 10},
    attempts=[PLACED],
    strikes=[],
    poisons=[Poison("stock-commands/0/3")],
    mails=[MAIL],
    state=STATE,
    redriven=replace(STATE, dead_letters=STATE.dead_letters * 2),
)


def with_state(**changes: object) -> Evidence:
    """The good evidence with another state, before and after the redrive."""
    state = replace(STATE, **changes)  # type: ignore[arg-type]
    return replace(GOOD, state=state, redriven=None)


def sorts(evidence: Evidence) -> set[Sort]:
    return {finding.sort for finding in check(evidence)}


def invariants(evidence: Evidence) -> set[str]:
    return {finding.invariant for finding in check(evidence)}


def test_a_good_history_is_good() -> None:
    assert check(GOOD) == []


def other_id(attempt: Attempt) -> Attempt:
    return replace(attempt, order_id="o2")


BREACHES: dict[str, Callable[[], Evidence]] = {
    "every order ends": lambda: with_state(
        orders=[replace(ORDER, status="PENDING", version=1)], event_log=STATE.event_log[:1]
    ),
    "every event is told once": lambda: with_state(event_log=[*STATE.event_log, *STATE.event_log]),
    "the events tell the outcome": lambda: with_state(event_log=STATE.event_log[:1]),
    "a version per event": lambda: with_state(orders=[replace(ORDER, version=3)]),
    "one key, one order": lambda: with_state(orders=[ORDER, replace(ORDER, id="o2")]),
    "same key, same order": lambda: replace(GOOD, attempts=[PLACED, other_id(PLACED)]),
    "an accepted order is there": lambda: with_state(orders=[]),
    "a refused order is not there": lambda: replace(
        GOOD, attempts=[replace(PLACED, outcome=Outcome.FAIL, order_id=None)]
    ),
    "an order is what was asked for": lambda: with_state(orders=[replace(ORDER, quantity=3)]),
    "an order nobody placed": lambda: replace(GOOD, attempts=[]),
    "a cancellation holds": lambda: replace(
        GOOD, attempts=[PLACED, replace(PLACED, operation=Operation.CANCEL)]
    ),
    "stock adds up": lambda: with_state(stock={"book": 7}),
    "stock is never negative": lambda: with_state(stock={"book": -1}),
    "a published event is in Kafka": lambda: with_state(told=STATE.told[:1]),
    "an event in Kafka was published": lambda: with_state(
        told=[*STATE.told, Logged("o9:1", "OrderPlaced", "o9")]
    ),
    "events of an order in order": lambda: with_state(told=STATE.told[::-1]),
    "every outcome is a mail": lambda: replace(GOOD, mails=[]),
    "one Message-ID per outcome": lambda: with_state(
        letters=[*STATE.letters, replace(STATE.letters[0], message_id="m2")]
    ),
    "every mail is sent": lambda: with_state(letters=[replace(STATE.letters[0], state="DEAD")]),
    "an accepted mail has an intent": lambda: with_state(letters=[]),
    "a second copy has a cause": lambda: replace(GOOD, mails=[MAIL, replace(MAIL, time=6.0)]),
    "every event is counted once": lambda: with_state(
        statistics={(7, "book", "PENDING"): (1, 2), (7, "book", "CONFIRMED"): (1, 2)}
    ),
    "outbox and lag return to 0": lambda: with_state(outbox={"order": 1}),
    "each record takes effect once": lambda: with_state(
        moves=[*STATE.moves, Move("stock", "t/0", 4, 3, False)]
    ),
    "positions follow each other": lambda: with_state(
        moves=[*STATE.moves, Move("stock", "t/0", 5, 6, False)]
    ),
    "a poison record is put aside": lambda: with_state(dead_letters=[]),
    "a poison record is put aside once": lambda: with_state(dead_letters=STATE.dead_letters * 2),
    "what is put aside was poison": lambda: replace(GOOD, poisons=[]),
    "a dead letter is forwarded": lambda: with_state(forwarded=[]),
    "a dead letter has a cause": lambda: with_state(
        dead_letters=[replace(STATE.dead_letters[0], cause=" ")]
    ),
    "a dead letter survives redrive": lambda: replace(GOOD, redriven=STATE),
    "a redrive of poison changes nothing": lambda: replace(
        GOOD, redriven=replace(STATE, dead_letters=STATE.dead_letters * 2, stock={"book": 6})
    ),
    "a process ended by itself": lambda: replace(GOOD, unordered_exits=["order.api-0: 1"]),
}


@pytest.mark.parametrize("invariant", list(BREACHES))
def test_a_planted_breach_is_found(invariant: str) -> None:
    assert invariant in invariants(BREACHES[invariant]())


@pytest.mark.parametrize(("left", "sort"), [(7, Sort.DOUBLED), (9, Sort.LOST)])
def test_stock_that_is_missing_was_taken_twice(left: int, sort: Sort) -> None:
    assert sorts(with_state(stock={"book": left})) == {sort}


def test_an_unknown_addition_may_have_happened_or_not() -> None:
    added = replace(
        PLACED, operation=Operation.ADD, key="a1", quantity=5, email="", outcome=Outcome.UNKNOWN
    )
    for left in (8, 13):
        state = replace(STATE, stock={"book": left})
        assert check(replace(GOOD, attempts=[PLACED, added], state=state, redriven=None)) == []


def test_an_unknown_attempt_may_have_placed_one_order_or_none() -> None:
    unknown = replace(PLACED, outcome=Outcome.UNKNOWN, order_id=None)
    assert check(replace(GOOD, attempts=[unknown])) == []
    nothing = State(dead_letters=STATE.dead_letters, forwarded=STATE.forwarded, stock={"book": 10})
    none = replace(GOOD, attempts=[unknown], state=nothing, redriven=None, mails=[])
    assert check(none) == []


KILL = Strike(1, "kill email.sender", "accepted", 5.1, 5.2, struck=True)


@pytest.mark.parametrize(
    "earlier",
    [replace(MAIL, answered=False), MAIL],
    ids=["the server hung up", "the sender was killed"],
)
def test_a_second_copy_is_explained_by_a_fault_between_the_two(earlier: Mail) -> None:
    strikes = [KILL] if earlier.answered else []
    evidence = replace(GOOD, strikes=strikes, mails=[earlier, replace(MAIL, time=6.0)])
    assert check(evidence) == []


@pytest.mark.parametrize(("held", "findings"), [(4.1, 0), (3.0, 1), (5.0, 1)])
def test_an_answer_at_the_end_of_the_senders_patience_may_be_missed(
    held: float, findings: int
) -> None:
    mails = [replace(MAIL, held=held), replace(MAIL, time=6.0)]
    assert len(check(replace(GOOD, mails=mails))) == findings


def second_copies(count: int, *, first: float = 5.0) -> list[Mail]:
    """That many mails, each accepted twice."""
    return [
        replace(MAIL, message_id=f"<{first:g}-{number}@example.com>", time=time)
        for number in range(count)
        for time in (first, first + 1.0)
    ]


def test_one_fault_hides_no_more_mails_than_there_are_senders() -> None:
    copies = second_copies(SENDING_THREADS + 1)
    evidence = replace(GOOD, strikes=[KILL], mails=[MAIL, *copies])
    assert "a fault hides what was in hand, no more" in invariants(evidence)


def test_faults_that_follow_closely_share_what_they_may_have_hidden() -> None:
    early = replace(KILL, number=2, started=2.0, ended=2.1)
    both, sooner = second_copies(SENDING_THREADS), second_copies(SENDING_THREADS, first=1.0)
    told = "a fault hides what was in hand, no more"
    found = invariants(replace(GOOD, strikes=[early, KILL], mails=[MAIL, *both, *sooner]))
    assert told not in found
    one_more = replace(MAIL, message_id="<one-more@example.com>")
    copies = [*both, *sooner, *(replace(one_more, time=time) for time in (1.0, 2.0))]
    assert told in invariants(replace(GOOD, strikes=[early, KILL], mails=[MAIL, *copies]))


def test_each_reader_of_a_topic_hears_what_another_sends_again() -> None:
    origin = f"{topic('orders')}/0/3"
    letters = [DeadLetter("email", origin, "no text"), DeadLetter("order", origin, "no JSON")]
    before = replace(STATE, dead_letters=letters, forwarded=[origin] * 2)
    evidence = replace(GOOD, poisons=[Poison(origin)], state=before)
    assert check(replace(evidence, redriven=replace(before, dead_letters=letters * 3))) == []
    for times in (2, 4):
        wrong = replace(evidence, redriven=replace(before, dead_letters=letters * times))
        assert "a dead letter survives redrive" in invariants(wrong)


def test_positions_that_the_injector_moved_are_not_held_against_anyone() -> None:
    back = [Move("stock", "t/0", 4, 0, True), Move("stock", "t/0", 0, 4, False)]
    twice = STATE.dead_letters * 2
    assert check(with_state(moves=[*STATE.moves, *back], dead_letters=twice)) == []
