"""Every effect finds a cause if there is a way to give it one."""

from collections import Counter
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from faults.attribution import without_cause


def test_a_cause_makes_room_when_an_effect_has_another() -> None:
    assert without_cause([[1, 2], [1]], most=1) == []


def test_what_no_cause_can_bear_is_left_over() -> None:
    assert without_cause([[1], [1], [1]], most=2) == [2]
    assert without_cause([[]], most=2) == [0]


@given(
    candidates=st.lists(st.lists(st.integers(0, 2), max_size=3, unique=True), max_size=5),
    most=st.integers(1, 2),
)
def test_no_assignment_leaves_fewer_over(candidates: list[list[int]], most: int) -> None:
    ways = product(*([None, *causes] for causes in candidates))
    fewest = min(
        way.count(None)
        for way in ways
        if all(n <= most for cause, n in Counter(way).items() if cause is not None)
    )
    assert len(without_cause(candidates, most)) == fewest
