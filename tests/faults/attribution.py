"""Which fault may have caused what; pure."""

from collections import defaultdict
from collections.abc import Sequence


def without_cause(candidates: Sequence[Sequence[int]], most: int) -> list[int]:
    """Effects that are left over when causes bear as many as they can, `most` each.

    `candidates` has, per effect, the causes that it may have; the answer has indexes into it. A
    maximum matching by augmenting paths (Kuhn 1955): faults that follow closely are each other's
    alternatives, and the first that comes to mind may be needed elsewhere.
    """
    borne: dict[int, list[int]] = defaultdict(list)

    def bear(effect: int, tried: set[int]) -> bool:
        for cause in candidates[effect]:
            if cause in tried:
                continue
            tried.add(cause)
            if len(borne[cause]) < most:
                borne[cause].append(effect)
                return True
            for place, other in enumerate(borne[cause]):
                if bear(other, tried):
                    borne[cause][place] = effect
                    return True
        return False

    return [effect for effect in range(len(candidates)) if not bear(effect, set())]
