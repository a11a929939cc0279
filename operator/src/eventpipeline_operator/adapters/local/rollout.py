"""How many processes to start and which to stop, so that as many as are wanted stay ready. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

SURGE = 1


@dataclass(frozen=True)
class Slot:
    """One process that is not stopping; ids grow with age's end: the highest is the youngest."""

    id: int
    revision: str
    ready: bool


@dataclass(frozen=True)
class Steps:
    """What to do now; what follows is decided when it has come to something."""

    start: int = 0
    stop: tuple[int, ...] = ()


def plan_rollout(wanted: int, revision: str, slots: Sequence[Slot]) -> Steps:
    """The next steps towards `wanted` processes of one revision.

    A process of an older revision goes when another is ready in its place, or when it is not ready
    itself; one more than wanted may run meanwhile.
    """
    new = [s for s in slots if s.revision == revision]
    old = [s for s in slots if s.revision != revision]
    if len(new) > wanted:
        leaving = sorted(new, key=lambda s: (s.ready, -s.id))[: len(new) - wanted]
        return Steps(stop=tuple(s.id for s in leaving))
    room = wanted + SURGE - len(slots) if old else wanted
    start = max(0, min(wanted - len(new), room))
    spare = max(0, sum(s.ready for s in slots) - wanted)
    ready = sorted((s for s in old if s.ready), key=lambda s: s.id)[:spare]
    broken = [s for s in old if not s.ready]
    return Steps(start, tuple(s.id for s in (*broken, *ready)))
