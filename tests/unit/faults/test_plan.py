"""Schedules of faults."""

from collections import Counter

from faults.plan import CLASSES, build_plan


def test_the_same_seed_gives_the_same_plan() -> None:
    first, second = (build_plan(7, 150, list(CLASSES), 1.0) for _ in range(2))
    assert first == second
    assert first != build_plan(8, 150, list(CLASSES), 1.0)


def test_a_hundred_and_fifty_faults_hold_every_class_five_times() -> None:
    plan = build_plan(1, 150, list(CLASSES), 1.0)
    counts = Counter(fault.kind for fault in plan)
    assert len(plan) == 150
    assert counts.keys() == CLASSES.keys()
    assert min(counts.values()) >= 5


def test_every_variant_of_a_class_has_its_turn() -> None:
    plan = build_plan(1, 150, list(CLASSES), 1.0)
    drawn = {(fault.kind, fault.variant) for fault in plan}
    assert drawn == {(kind, name) for kind, names in CLASSES.items() for name in names}
