from collections import Counter
from collections.abc import Callable

import pytest

from eventbench.ledger import Evidence, OrderFate, audit_finished, audit_stored
from eventbench.results import Counts

STOCK = 10
Fault = Callable[[Evidence], None]


def clean_evidence() -> Evidence:
    """Two orders for one product, one served and one refused, both mailed."""
    return Evidence(
        orders={"a": OrderFate("CONFIRMED", 1.0, 1.1), "b": OrderFate("REJECTED", 1.0, 1.1)},
        placed_events=Counter("ab"),
        end_events=Counter("ab"),
        stock={"book": 9},
        reserved={"book": 1},
        reservations={"a"},
        mails=Counter(["mail-a", "mail-b"]),
        letters={"mail-a": "a", "mail-b": "b"},
    )


def audited(evidence: Evidence, *, unknown: int = 0) -> Counts:
    counts = Counts(unknown=unknown)
    audit_finished(["a", "b"], STOCK, counts, evidence)
    return counts


def test_a_clean_run_has_lost_and_doubled_nothing() -> None:
    counts = audited(clean_evidence())
    assert (counts.accepted, counts.finished, counts.mailed) == (2, 2, 2)
    assert (counts.lost, counts.doubled, counts.notes) == (0, 0, [])


def _forget_order(evidence: Evidence) -> None:
    del evidence.orders["b"]
    del evidence.letters["mail-b"]
    del evidence.mails["mail-b"]


def _leave_pending(evidence: Evidence) -> None:
    evidence.orders["b"] = OrderFate("PENDING", 1.0, 1.0)


def _never_announce(evidence: Evidence) -> None:
    del evidence.end_events["b"]


def _never_mail(evidence: Evidence) -> None:
    del evidence.mails["mail-b"]


def _lose_reservation(evidence: Evidence) -> None:
    evidence.reservations.clear()


def _give_stock_away(evidence: Evidence) -> None:
    evidence.stock["book"] = 10


@pytest.mark.parametrize(
    "fault",
    [
        _forget_order,
        _leave_pending,
        _never_announce,
        _never_mail,
        _lose_reservation,
        _give_stock_away,
    ],
)
def test_what_is_missing_is_counted_as_lost(fault: Fault) -> None:
    evidence = clean_evidence()
    fault(evidence)
    assert audited(evidence).lost == 1


def _announce_twice(evidence: Evidence) -> None:
    evidence.end_events["a"] += 1


def _mail_twice(evidence: Evidence) -> None:
    evidence.mails["mail-a"] += 1


def _write_twice(evidence: Evidence) -> None:
    evidence.mails["mail-c"] += 1
    evidence.letters["mail-c"] = "a"


def _reserve_for_a_refused_order(evidence: Evidence) -> None:
    evidence.reservations.add("b")


def _take_twice(evidence: Evidence) -> None:
    evidence.stock["book"] = 8


def _store_what_nobody_asked_for(evidence: Evidence) -> None:
    evidence.orders["c"] = OrderFate("CONFIRMED", 1.0, 1.1)
    evidence.placed_events["c"] = evidence.end_events["c"] = 1
    evidence.reservations.add("c")
    evidence.mails["mail-c"] += 1
    evidence.letters["mail-c"] = "c"


@pytest.mark.parametrize(
    "fault",
    [
        _announce_twice,
        _mail_twice,
        _write_twice,
        _reserve_for_a_refused_order,
        _take_twice,
        _store_what_nobody_asked_for,
    ],
)
def test_what_is_there_more_often_than_once_is_counted_as_doubled(fault: Fault) -> None:
    evidence = clean_evidence()
    fault(evidence)
    assert audited(evidence).doubled == 1


def test_an_order_whose_answer_never_came_may_be_there() -> None:
    evidence = clean_evidence()
    _store_what_nobody_asked_for(evidence)
    evidence.stock["book"], evidence.reserved["book"] = 8, 2
    assert audited(evidence, unknown=1).doubled == 0


def test_with_the_workers_stopped_each_order_waits_in_the_outbox_once() -> None:
    pending = {order: OrderFate("PENDING", 1.0, 1.0) for order in "abc"}
    counts = Counts()
    evidence = Evidence(orders=pending, outbox=Counter({"a": 1, "b": 2}))
    audit_stored(["a", "b", "c"], counts, evidence)
    assert (counts.lost, counts.doubled) == (1, 1)
