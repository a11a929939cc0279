"""Calls of many threads, carried together."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from eventbus.grouping import Grouped
from servers.waiting import wait_for


class Carrier:
    """Doubles numbers; the first group is held until it is let go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.groups: list[list[int]] = []
        self.began = threading.Event()
        self.go_on = threading.Event()
        self._error = error
        self.grouped = Grouped(self.carry, lambda error: isinstance(error, ValueError), limit=5)

    def carry(self, items: Sequence[int]) -> list[int]:
        self.groups.append(list(items))
        self.began.set()
        assert self.go_on.wait(10)
        if self._error and 13 in items:
            raise self._error
        return [2 * item for item in items]


def call_together(carrier: Carrier, *items: int) -> dict[int, Future[int]]:
    """One call that is on its way while all others come."""
    with ThreadPoolExecutor(len(items) + 1) as pool:
        first = pool.submit(carrier.grouped, 0)
        assert carrier.began.wait(10)
        calls = {item: pool.submit(carrier.grouped, item) for item in items}
        wait_for("all to wait", lambda: len(carrier.grouped._waiting) == len(items))
        carrier.go_on.set()
    assert first.result() == 0
    return calls


def test_who_comes_while_one_is_carried_is_carried_together() -> None:
    carrier = Carrier()
    calls = call_together(carrier, 1, 2, 3)
    assert {item: call.result() for item, call in calls.items()} == {1: 2, 2: 4, 3: 6}
    assert [sorted(group) for group in carrier.groups] == [[0], [1, 2, 3]]


def test_a_crowd_is_carried_in_groups_of_bounded_size() -> None:
    carrier = Carrier()
    calls = call_together(carrier, *range(1, 13))
    assert [calls[item].result() for item in calls] == [2 * item for item in calls]
    assert [len(group) for group in carrier.groups] == [1, 5, 5, 2]


def test_an_item_at_fault_harms_no_other() -> None:
    carrier = Carrier(ValueError("13"))
    calls = call_together(carrier, 12, 13, 14)
    assert (calls[12].result(), calls[14].result()) == (24, 28)
    with pytest.raises(ValueError, match="13"):
        calls[13].result()


def test_what_fails_for_all_is_told_to_all_and_not_tried_again() -> None:
    carrier = Carrier(ConnectionError("away"))
    calls = call_together(carrier, 13, 14)
    for call in calls.values():
        with pytest.raises(ConnectionError):
            call.result()
    assert len(carrier.groups) == 2


def test_after_a_failure_the_next_call_is_carried() -> None:
    carrier = Carrier(ConnectionError("away"))
    carrier.go_on.set()
    with pytest.raises(ConnectionError):
        carrier.grouped(13)
    assert carrier.grouped(4) == 8
