"""What a rollout does next, as a table of situations."""

import pytest

from eventpipeline_operator.adapters.local.rollout import Slot, Steps, plan_rollout


def new(number: int, *, ready: bool = True) -> Slot:
    return Slot(number, "new", ready)


def old(number: int, *, ready: bool = True) -> Slot:
    return Slot(number, "old", ready)


@pytest.mark.parametrize(
    ("situation", "wanted", "slots", "steps"),
    [
        ("nothing runs yet: all start at once", 3, [], Steps(start=3)),
        ("as wanted", 2, [new(1), new(2)], Steps()),
        ("one is missing", 2, [new(1)], Steps(start=1)),
        ("a new revision: one more than wanted starts", 2, [old(1), old(2)], Steps(start=1)),
        ("not ready yet: the old ones stay", 2, [old(1), old(2), new(3, ready=False)], Steps()),
        ("ready: one old one goes", 2, [old(1), old(2), new(3)], Steps(stop=(1,))),
        ("there is room again", 2, [old(2), new(3)], Steps(start=1)),
        ("the last old one goes", 2, [old(2), new(3), new(4)], Steps(stop=(2,))),
        ("an old one that is broken goes at once", 1, [old(1, ready=False)], Steps(1, (1,))),
        ("a broken new one keeps the old one", 1, [old(1), new(2, ready=False)], Steps()),
        ("fewer are wanted: who is not ready goes first", 1, [new(1), new(2, ready=False)],
         Steps(stop=(2,))),
        ("fewer are wanted: the youngest goes", 1, [new(1), new(2)], Steps(stop=(2,))),
        ("none is wanted", 0, [old(1), new(2)], Steps(stop=(2,))),
        ("none is wanted of an old revision", 0, [old(1)], Steps(stop=(1,))),
    ],
)  # fmt: skip
def test_the_next_steps(situation: str, wanted: int, slots: list[Slot], steps: Steps) -> None:
    assert plan_rollout(wanted, "new", slots) == steps, situation


@pytest.mark.parametrize("wanted", [1, 2, 5])
def test_a_rollout_ends_and_never_has_too_few_ready(wanted: int) -> None:
    slots = [old(number) for number in range(wanted)]
    for number in range(100, 140):
        steps = plan_rollout(wanted, "new", slots)
        if steps == Steps():
            break
        slots = [slot for slot in slots if slot.id not in steps.stop]
        slots += [new(number + n * 1000) for n in range(steps.start)]
        assert sum(slot.ready for slot in slots) >= wanted
        assert len(slots) <= wanted + 1
    assert [slot.revision for slot in slots] == ["new"] * wanted
