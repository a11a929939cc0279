"""Counting changes of orders, in whatever pieces they come, and adding windows up."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventbus.envelope import Event, read_time
from eventbus.errors import InvalidRecord
from order_service.domain import Status
from order_service.projection import count_batch
from order_service.statistics import (
    NOTHING,
    Cell,
    Change,
    Increments,
    Tally,
    TooMuch,
    Windows,
    add_up,
    bucket_of,
    count,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class FakeTallies:
    """The tables of one generation in memory."""

    def __init__(self) -> None:
        self.counted: set[tuple[str, int]] = set()
        self.times: dict[int, datetime] = {}
        self.cells: Counter[tuple[Cell, str]] = Counter()

    def claim(self, ids: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
        fresh = set(ids) - self.counted
        self.counted |= fresh
        return fresh

    def clocks(self, partitions: Collection[int]) -> dict[int, datetime]:
        return {number: at for number, at in self.times.items() if number in partitions}

    def add(self, increments: Increments) -> None:
        self.times |= increments.clocks
        for cell, tally in increments.cells.items():
            self.cells[cell, "orders"] += tally.orders
            self.cells[cell, "quantity"] += tally.quantity
            self.cells[cell, "late"] += tally.late


def change(order: str, seconds: float = 0, partition: int = 0, version: int = 1) -> Change:
    at = NOON + timedelta(seconds=seconds)
    return Change(order, version, Status.PENDING, "book", 2, at, partition)


changes = st.builds(
    Change,
    order_id=st.sampled_from("abcdef"),
    version=st.integers(1, 3),
    status=st.sampled_from(Status),
    product=st.sampled_from(["book", "pen"]),
    quantity=st.integers(1, 1_000),
    at=st.integers(0, 600).map(lambda seconds: NOON + timedelta(seconds=seconds)),
)
Log = dict[int, list[Change]]


def lay_out(told: list[Change]) -> Log:
    """As in Kafka: an order in one of two partitions, an event in several places at times."""
    first: dict[tuple[str, int], Change] = {}
    log: Log = {0: [], 1: []}
    for each in told:
        number = ord(each.order_id) % 2
        log[number].append(first.setdefault(each.id, replace(each, partition=number)))
    return log


# Batches: for each partition how far back it begins (a position was set back), and how far it goes.
cuts = st.lists(st.tuples(*[st.tuples(st.integers(0, 4), st.integers(0, 4))] * 2), max_size=8)


def cut(log: Log, sizes: Sequence[Sequence[tuple[int, int]]]) -> Iterator[list[Change]]:
    """Batches from the log's beginning to its end."""
    positions = dict.fromkeys(log, 0)
    rest = [[(0, len(part)) for part in log.values()]]
    for pieces in [*sizes, *rest]:
        batch = []
        for number, (back, forward) in enumerate(pieces):
            at = positions[number]
            positions[number] = min(at + forward, len(log[number]))
            batch += log[number][max(0, at - back) : positions[number]]
        yield batch


@given(st.lists(changes, max_size=20).map(lay_out), cuts)
def test_however_batches_are_cut_and_repeated_the_counts_are_those_of_a_recount(
    log: Log, sizes: Sequence[Sequence[tuple[int, int]]]
) -> None:
    tallies, whole = FakeTallies(), FakeTallies()
    for batch in cut(log, sizes):
        count_batch(batch, tallies, MINUTE)
    count_batch([*log[0], *log[1]], whole, MINUTE)
    assert +tallies.cells == +whole.cells
    distinct = {each.id: each for part in log.values() for each in part}
    recount: Counter[Cell] = Counter()
    for each in distinct.values():
        recount[Cell(bucket_of(each.at), each.product, each.status)] += 1
    assert {cell: n for (cell, kind), n in tallies.cells.items() if kind == "orders"} == recount


def _count(events: Sequence[Change], clocks: dict[int, datetime] | None = None) -> Increments:
    return count(events, {each.id for each in events}, clocks or {}, MINUTE)


def test_an_event_counts_in_the_minute_in_which_it_happened() -> None:
    cells = _count([change("a", 59.9), change("b", 60)]).cells
    assert sorted(cell.start for cell in cells) == [bucket_of(NOON), bucket_of(NOON) + 1]


def test_an_event_within_the_lateness_is_not_late() -> None:
    cells = _count([change("a", 60), change("b", 0)]).cells
    assert cells[Cell(bucket_of(NOON), "book", Status.PENDING)] == Tally(1, 2, 0)


def test_an_event_beyond_it_counts_in_its_own_minute_and_as_late() -> None:
    cells = _count([change("a", 61), change("b", 0)]).cells
    assert cells[Cell(bucket_of(NOON), "book", Status.PENDING)] == Tally(1, 2, 1)


def test_a_partition_that_is_behind_makes_nothing_late_in_another() -> None:
    cells = _count([change("a", 600, partition=0), change("b", 0, partition=1)]).cells
    assert not any(tally.late for tally in cells.values())


def test_a_clock_goes_on_from_the_batch_before() -> None:
    after = _count([change("a", 0)], {0: NOON + 2 * MINUTE})
    assert after.clocks == {0: NOON + 2 * MINUTE}
    assert [tally.late for tally in after.cells.values()] == [1]


@pytest.mark.parametrize("time", ["", "yesterday", "2026-01-01T12:00:00"])
def test_an_event_that_does_not_say_when_is_invalid(time: str) -> None:
    with pytest.raises(InvalidRecord, match="ce_time"):
        read_time(Event("OrderPlaced", "1", "/", "s", time, b"{}"))


panes = st.dictionaries(
    st.builds(
        Cell,
        st.integers(0, 60),
        st.sampled_from(["book", "pen"]),
        st.sampled_from(list(Status)[:2]),
    ),
    st.builds(Tally, st.integers(1, 9), st.integers(1, 99), st.integers(0, 3)),
)


@given(panes, st.integers(0, 40), st.integers(1, 30), st.integers(1, 15), st.integers(1, 15))
def test_a_window_is_the_sum_of_its_minutes(
    cells: dict[Cell, Tally], first: int, number: int, length: int, slide: int
) -> None:
    windows = Windows(first, number, max(length, slide), slide)
    expected: dict[Cell, Tally] = {}
    for start in map(windows.start_of, range(number)):
        for cell, tally in cells.items():
            if start <= cell.start < start + windows.length:
                key = Cell(start, cell.product, cell.status)
                expected[key] = expected.get(key, NOTHING) + tally
    within = {cell: t for cell, t in cells.items() if first <= cell.start < windows.end}
    assert add_up(within, windows, 10_000) == expected


@given(panes, st.integers(1, 6), st.integers(1, 6))
def test_panes_may_be_fetched_instead_of_minutes(
    cells: dict[Cell, Tally], length: int, slide: int
) -> None:
    windows = Windows(0, 12, max(length, slide), slide)
    within = {cell: tally for cell, tally in cells.items() if cell.start < windows.end}
    coarse: dict[Cell, Tally] = {}
    for cell, tally in within.items():
        key = Cell(cell.start // windows.pane * windows.pane, cell.product, cell.status)
        coarse[key] = coarse.get(key, NOTHING) + tally
    assert add_up(coarse, windows, 10_000) == add_up(within, windows, 10_000)


def test_windows_begin_at_multiples_of_their_slide() -> None:
    windows = Windows.between(NOON + 7 * MINUTE, NOON + 16 * MINUTE, 10, 5)
    starts = [windows.start_of(number) - bucket_of(NOON) for number in range(windows.count)]
    assert starts == [5, 10, 15]


def test_too_many_windows_are_refused() -> None:
    with pytest.raises(TooMuch, match="windows"):
        Windows.between(NOON, NOON + timedelta(days=1), 1, 1)


def test_too_many_sums_are_refused() -> None:
    cells = {Cell(0, str(number), Status.PENDING): Tally(1, 1) for number in range(3)}
    with pytest.raises(TooMuch, match="sums"):
        add_up(cells, Windows(0, 1, 1, 1), 2)
