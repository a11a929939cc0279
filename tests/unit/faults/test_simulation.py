"""Random schedules in memory: a few hundred here, ten thousand in `make faults`."""

import pytest

from faults.simulation.schedule import MUTATIONS, simulate

FIRST_SEED = 20_261_123


def test_no_random_schedule_loses_or_doubles_anything() -> None:
    guilty = {
        seed: verdict.findings
        for seed in range(FIRST_SEED, FIRST_SEED + 150)
        if (verdict := simulate(seed)).findings
    }
    assert guilty == {}


def test_schedules_are_full_of_faults_and_orders() -> None:
    verdicts = [simulate(seed) for seed in range(FIRST_SEED, FIRST_SEED + 20)]
    assert sum(verdict.faults for verdict in verdicts) > 60
    assert sum(verdict.orders for verdict in verdicts) > 60


def test_a_seed_replays_its_schedule() -> None:
    first, second = (simulate(FIRST_SEED, "natural-key") for _ in range(2))
    assert (first.faults, first.orders) == (second.faults, second.orders)
    assert [f.invariant for f in first.findings] == [f.invariant for f in second.findings]


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_missing_guard_is_noticed(mutation: str) -> None:
    seeds = range(FIRST_SEED, FIRST_SEED + 150)
    assert any(simulate(seed, mutation).findings for seed in seeds)
