"""When something granted for a time is kept, renewed, replaced; and how staleness is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventpipeline_operator.policies.leases import (
    Step,
    Term,
    describe_staleness,
    evaluate_lease,
    evaluate_term,
)


@pytest.mark.parametrize(
    ("term", "now", "step"),
    [
        (Term(0, 90, 90, renewable=True), 59, Step.KEEP),
        (Term(0, 90, 90, renewable=True), 60, Step.RENEW),
        (Term(0, 90, 90, renewable=True, spread=0.9), 52, Step.RENEW),
        (Term(0, 90, 90, renewable=False), 59, Step.KEEP),
        (Term(0, 90, 90, renewable=False), 60, Step.ROTATE),
        (Term(0, 90, 90, renewable=True), 90, Step.ROTATE),
        (Term(60, 30, 90, renewable=True), 60, Step.ROTATE),
        (Term(60, 89, 90, renewable=True), 61, Step.KEEP),
    ],
)
def test_what_is_due(term: Term, now: float, step: Step) -> None:
    assert evaluate_term(term, now) is step


def test_a_lease_of_another_session_is_replaced() -> None:
    term = Term(0, 90, 90, renewable=True)
    assert evaluate_lease(term, 1, of_this_session=True) is Step.KEEP
    assert evaluate_lease(term, 1, of_this_session=False) is Step.ROTATE


@given(life=st.floats(30, 1e6), most=st.floats(30, 1e7), spread=st.floats(0, 0.999))
def test_a_replacement_begins_while_three_tenths_of_the_lease_are_left(
    life: float, most: float, spread: float
) -> None:
    first = min(life, most)
    term, now = Term(0, first, first, renewable=True, spread=spread), 0.0
    for _ in range(50):
        now = max(now, term.due_at)
        if evaluate_term(term, now) is Step.ROTATE:
            assert term.ends_at - now >= first * 0.3 - 1
            return
        term = Term(now, min(life, most - now), first, renewable=True, spread=spread)
    assert now < most


@pytest.mark.parametrize(
    ("since", "words"),
    [
        (None, "for less than a minute"),
        ("2026-01-03T11:59:30Z", "for less than a minute"),
        ("2026-01-03T11:58:30Z", "for over 1 minute"),
        ("2026-01-03T11:49:00Z", "for over 10 minutes"),
        ("2026-01-03T09:30:00Z", "for over 2 hours"),
        ("2026-01-01T11:00:00Z", "for over 2 days"),
    ],
)
def test_staleness_is_told_in_steps(since: str | None, words: str) -> None:
    assert describe_staleness(since, "2026-01-03T12:00:00Z") == words
