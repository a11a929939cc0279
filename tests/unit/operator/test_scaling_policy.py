"""Lag → replicas: table, and what must hold whatever is seen."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventpipeline_operator.api.offsets import GroupOffsets, PartitionOffsets
from eventpipeline_operator.api.types import Scale
from eventpipeline_operator.policies.scaling import CALM_DRAINS, Scaling, evaluate_scaling

SCALE = Scale(max=6, min=1, drain_seconds=30)
LOOK = 10.0


def build_offsets(lag: int, *, done: int = 0, partitions: int = 6) -> GroupOffsets:
    """A group that has worked off `done` records of each partition and has `lag` before it."""
    share = lag / partitions
    return GroupOffsets(
        {
            ("orders", n): PartitionOffsets(
                0, done + int(share * (n + 1)) - int(share * n), committed=done
            )
            for n in range(partitions)
        }
    )


def build_scaling(replicas: int, offsets: GroupOffsets, **parts: float) -> Scaling:
    known = Scaling(replicas, 6, offsets, seen_at=0.0, running=replicas)
    return replace(known, **parts)  # type: ignore[arg-type] # a float where each field has one


@pytest.mark.parametrize(
    ("name", "replicas", "lag", "capacity", "arrival", "wanted"),
    [
        ("no lag", 2, 0, 10.0, 0.0, 2),
        ("lag that drains in time", 2, 500, 10.0, 0.0, 2),
        ("lag that needs one more", 2, 800, 10.0, 0.0, 3),
        ("lag that needs all", 2, 90_000, 10.0, 0.0, 6),
        ("arrivals that eat the capacity", 2, 900, 10.0, 20.0, 5),
        ("what is under way is no backlog", 2, 190, 10.0, 20.0, 2),
        ("nothing running yet", 0, 5, 0.0, 0.0, 1),
        ("what one can do is not known", 2, 90_000, 0.0, 0.0, 2),
    ],
)
def test_as_many_as_drain_the_lag_in_time(
    name: str, replicas: int, lag: int, capacity: float, arrival: float, wanted: int
) -> None:
    assert name
    came = int(arrival * LOOK)
    before = build_offsets(lag - came if lag >= came else 0)
    state = build_scaling(replicas, before, arrival=arrival, capacity=capacity)
    scale = replace(SCALE, min=0) if replicas == 0 else SCALE
    assert evaluate_scaling(scale, state, build_offsets(lag), replicas, LOOK).replicas == wanted


@pytest.mark.parametrize(
    "missing",
    [
        None,
        GroupOffsets({}),
        GroupOffsets({("orders", 0): PartitionOffsets(0, 9000)}),
    ],
)
def test_missing_data_changes_nothing(missing: GroupOffsets | None) -> None:
    state = build_scaling(3, build_offsets(9000), capacity=1.0, calm_since=-1000.0)
    if missing and missing.partitions:
        state = replace(state, replicas=1)
    after = evaluate_scaling(SCALE, state, missing, 3, LOOK)
    assert after.replicas == state.replicas
    assert after.calm_since is None


def test_after_missing_data_a_first_sight_is_no_progress() -> None:
    state = evaluate_scaling(SCALE, build_scaling(3, build_offsets(9000)), None, 3, LOOK)
    after = evaluate_scaling(SCALE, state, build_offsets(90_000, done=500), 3, 2 * LOOK)
    assert (after.replicas, after.capacity, after.arrival) == (3, None, None)


def test_bounds_hold_even_while_nothing_is_known() -> None:
    narrow = replace(SCALE, max=2)
    assert evaluate_scaling(narrow, Scaling(5), None, 5, 0.0).replicas == 2


def test_never_more_than_partitions_even_below_the_minimum() -> None:
    wide = replace(SCALE, min=5, max=9)
    seen = evaluate_scaling(wide, Scaling(5), build_offsets(9000, partitions=3), 5, 0.0)
    assert seen.replicas == 3


def test_replicas_that_would_get_no_work_are_not_added() -> None:
    one = {("orders", n): PartitionOffsets(0, 9000 if n == 0 else 0, 0) for n in range(6)}
    state = build_scaling(1, GroupOffsets(one), capacity=1.0)
    assert evaluate_scaling(SCALE, state, GroupOffsets(one), 1, LOOK).replicas == 1


def test_what_one_does_is_learned_only_while_there_is_enough_to_do() -> None:
    busy = evaluate_scaling(
        SCALE, build_scaling(2, build_offsets(6000)), build_offsets(6000, done=100), 2, LOOK
    )
    assert busy.capacity == pytest.approx(30.0)
    calm = evaluate_scaling(
        SCALE, build_scaling(2, build_offsets(6)), build_offsets(6, done=100), 2, LOOK
    )
    assert calm.capacity is None


def test_nothing_is_learned_while_replicas_come_and_go() -> None:
    state = build_scaling(2, build_offsets(6000), running=1)
    after = evaluate_scaling(SCALE, state, build_offsets(6000, done=100), 2, LOOK)
    assert after.capacity is None


def test_records_that_retention_removed_are_neither_lag_nor_work() -> None:
    gone = GroupOffsets({("orders", 0): PartitionOffsets(500, 500, committed=100)})
    assert gone.lag == 0
    was = GroupOffsets({("orders", 0): PartitionOffsets(0, 500, committed=100)})
    after = evaluate_scaling(SCALE, build_scaling(1, was), gone, 1, LOOK)
    assert after.capacity is None


def test_a_commit_of_another_life_of_the_topic_does_not_count() -> None:
    assert PartitionOffsets(0, 10, committed=5000).lag == 10


class Group:
    """Consumers that each do `speed` records a second, over equal partitions."""

    def __init__(self, speed: float, partitions: int = 6) -> None:
        self.speed = speed
        self.partitions = partitions
        self.end = self.done = 0.0

    def run(self, replicas: int, arrival: float, seconds: float = LOOK) -> GroupOffsets:
        self.end += arrival * seconds
        self.done = min(self.end, self.done + replicas * self.speed * seconds)
        ends, dones = (self._split(int(total)) for total in (self.end, self.done))
        return GroupOffsets(
            {
                ("orders", n): PartitionOffsets(0, end, done)
                for n, (end, done) in enumerate(zip(ends, dones, strict=True))
            }
        )

    def _split(self, total: int) -> list[int]:
        return [(total + n) // self.partitions for n in range(self.partitions)]


def simulate(group: Group, state: Scaling, arrivals: list[float], scale: Scale) -> list[Scaling]:
    """One state a look; replicas run one look after they were decided."""
    states, now = [state], state.seen_at
    running = state.replicas
    for arrival in arrivals:
        now += LOOK
        offsets = group.run(running, arrival)
        states.append(evaluate_scaling(scale, states[-1], offsets, running, now))
        running = states[-1].replicas
    return states


def test_a_burst_drains_in_about_the_time_asked_for_and_then_costs_nothing() -> None:
    group = Group(speed=10)
    burst = simulate(group, Scaling(1), [100.0] * 3, SCALE)
    assert max(s.replicas for s in burst) > 1
    drained = simulate(group, burst[-1], [5.0] * 30, SCALE)
    looks = next(i for i, s in enumerate(drained) if s.offsets and s.offsets.lag == 0)
    assert looks * LOOK <= 2 * SCALE.drain_seconds + LOOK
    assert drained[-1].replicas == 1


def test_down_goes_one_at_a_time_after_a_calm() -> None:
    group = Group(speed=10)
    busy = simulate(group, Scaling(1), [200.0] * 6, SCALE)[-1]
    assert busy.replicas == 6
    states = simulate(group, busy, [0.0] * 100, SCALE)
    counts = [s.replicas for s in states]
    assert all(b in (a, a - 1) for a, b in pairwise(counts))
    changes = [i * LOOK for i, (a, b) in enumerate(pairwise(counts)) if a > b]
    assert changes[0] >= CALM_DRAINS * SCALE.drain_seconds
    assert all(b - a >= SCALE.drain_seconds for a, b in pairwise(changes))
    assert counts[-1] == 1


def test_a_restarted_operator_finds_its_way_down_without_knowing_what_one_can_do() -> None:
    states = simulate(Group(speed=10), Scaling(6), [15.0] * 200, SCALE)
    assert states[-1].replicas in (2, 3)
    assert states[-1].capacity is None or states[-1].capacity > 0


@settings(max_examples=25, deadline=None)
@given(speed=st.floats(1, 200), arrival=st.floats(0, 600), start=st.integers(1, 6))
def test_a_steady_stream_does_not_make_it_flap(speed: float, arrival: float, start: int) -> None:
    states = simulate(Group(speed), Scaling(start), [arrival] * 200, SCALE)
    counts = [s.replicas for s in states[100:]]
    assert max(counts) - min(counts) <= 1
    turns = sum(1 for a, b in pairwise(counts) if a != b)
    assert turns <= 2


@settings(max_examples=25, deadline=None)
@given(speed=st.floats(1, 200), load=st.floats(0.05, 0.8), start=st.integers(1, 6))
def test_a_stream_that_all_replicas_could_bear_ends_without_lag(
    speed: float, load: float, start: int
) -> None:
    group = Group(speed)
    arrival = 6 * speed * load
    states = simulate(group, Scaling(start), [arrival] * 200, SCALE)
    offsets = states[-1].offsets
    assert offsets
    assert offsets.lag <= arrival * (LOOK + SCALE.drain_seconds) + 6


partitions = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 5)),
    st.builds(
        PartitionOffsets,
        start=st.integers(0, 1000),
        end=st.integers(0, 2000),
        committed=st.none() | st.integers(0, 3000),
    ),
    max_size=12,
)
sights = st.none() | st.builds(GroupOffsets, partitions)
scales = st.builds(
    lambda low, more, drain: Scale(max=low + more, min=low, drain_seconds=drain),
    st.integers(0, 5), st.integers(1, 8), st.integers(1, 100),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(scale=scales, seen=st.lists(sights, max_size=12), start=st.integers(0, 20))
def test_whatever_is_seen_the_bounds_and_the_partitions_hold(
    scale: Scale, seen: list[GroupOffsets | None], start: int
) -> None:
    state, known = Scaling(start), None
    for look, offsets in enumerate(seen):
        before = state
        state = evaluate_scaling(scale, state, offsets, state.replicas, LOOK * (look + 1))
        known = len(offsets.partitions) if offsets and offsets.partitions else known
        ceiling = min(scale.max, known) if known else scale.max
        assert min(scale.min, ceiling) <= state.replicas <= ceiling
        if offsets is None and before.replicas <= ceiling and before.replicas >= scale.min:
            assert state.replicas == before.replicas
