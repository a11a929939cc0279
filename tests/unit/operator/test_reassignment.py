"""Where the copies of a topic are to be, and how a person is told."""

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from eventpipeline_operator.desired.reassignment import describe_reassignment, plan_reassignment

BROKERS = [1, 2, 3, 4, 5]

placements = st.integers(1, 5).flatmap(
    lambda copies: st.lists(
        st.permutations(BROKERS).map(lambda order: order[:copies]), min_size=1, max_size=12
    )
)


@given(placements, st.integers(1, 5))
def test_every_partition_gets_so_many_brokers_and_moves_no_copy_that_may_stay(
    replicas: list[list[int]], factor: int
) -> None:
    for before, after in zip(replicas, plan_reassignment(replicas, factor, BROKERS), strict=True):
        assert len(after) == len(set(after)) == factor
        stay = min(factor, len(before))
        assert after[:stay] == before[:stay]


@given(st.integers(1, 40), st.integers(2, 5))
def test_new_copies_are_spread_evenly(partitions: int, factor: int) -> None:
    replicas = [[BROKERS[n % 5]] for n in range(partitions)]
    load = Counter(b for copies in plan_reassignment(replicas, factor, BROKERS) for b in copies)
    assert max(load.values()) - min(load[broker] for broker in BROKERS) <= 2


def test_what_is_told_is_what_the_tool_reads() -> None:
    told = describe_reassignment("shop.orders", [[1], [2]], 2, [1, 2, 3])
    assert told.startswith("run kafka-reassign-partitions.sh --execute")
    assert json.loads(told[told.index("{") :]) == {
        "version": 1,
        "partitions": [
            {"topic": "shop.orders", "partition": 0, "replicas": [1, 3]},
            {"topic": "shop.orders", "partition": 1, "replicas": [2, 1]},
        ],
    }


def test_too_few_brokers_are_told() -> None:
    assert describe_reassignment("t", [[1]], 3, [1, 2]) == "add brokers: the cluster has 2"


def test_what_is_too_long_for_a_condition_names_the_tool() -> None:
    told = describe_reassignment("t", [[1]] * 200, 2, [1, 2])
    assert told == "reassign its partitions with kafka-reassign-partitions.sh"
