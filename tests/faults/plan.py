"""The schedule of faults: which, where, how long; drawn from a seed, so that it can be replayed.

Every class appears equally often, its variants in turn; what is left over is drawn at random.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

# Class → variants. What each does is told by the function of its name in `injector`.
CLASSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "kill order.api": ("stored", "asked", "process"),
        "kill order.relay": ("published", "taken", "cleared"),
        "kill order.consumer": ("committed", "handled", "received"),
        "kill order.sweeper": ("process",),
        "kill order.stats": ("committed", "handled", "received"),
        "kill stock.api": ("stored", "process", "asked"),
        "kill stock.relay": ("published", "cleared", "taken"),
        "kill stock.consumer": ("handled", "committed", "received"),
        "kill email.api": ("process",),
        "kill email.consumer": ("committed", "handled", "received"),
        "kill email.sender": ("accepted", "claimed", "recorded"),
        "kill email.relay": ("process",),
        "zombie consumer": (
            "stock.consumer received",
            "order.consumer received",
            "email.consumer received",
            "stock.consumer handled",  # frozen in the middle of its transaction
            "order.stats handled",
        ),
        "zombie relay": ("taken",),
        "frozen sender": ("claimed", "accepted"),
        "postgres crash": ("immediate",),
        "broker restart": ("kill", "clean"),
        "postgres reset": ("all",),
        "postgres silent": ("all",),
        "postgres slow": ("all",),
        "kafka reset": ("all",),
        "kafka silent": ("all", "relays die"),
        "smtp reset": ("all",),
        "relay repeats": ("order", "stock"),
        "offsets to zero": (
            "seek stock.consumer",
            "stored stock",
            "stored order",
            "seek order.stats",
            "stored email",
        ),
        "smtp slow": ("slow",),
        "smtp refuses": ("busy",),
        "smtp drops": ("mute", "leaving"),
        "disk full": ("postgres",),
        "poison": ("stock-commands", "stock-events", "orders"),
    }
)


@dataclass(frozen=True)
class Fault:
    """One entry of the schedule."""

    number: int
    kind: str
    variant: str
    strength: float  # 0 to 1: how long or how hard, as the kind understands it
    pause: float  # seconds of plain load before it


def build_plan(seed: int, count: int, kinds: Sequence[str], pause: float) -> list[Fault]:
    """The same seed gives the same plan."""
    draw = random.Random(seed)  # noqa: S311  # reproducible, not secret
    each = count // len(kinds)
    chosen = [kind for kind in kinds for _ in range(each)]
    chosen += draw.choices(list(kinds), k=count - len(chosen))
    seen: dict[str, int] = {}
    drawn: list[tuple[str, str]] = []
    for kind in chosen:
        variants = CLASSES[kind]
        drawn.append((kind, variants[seen.get(kind, 0) % len(variants)]))
        seen[kind] = seen.get(kind, 0) + 1
    draw.shuffle(drawn)
    return [
        Fault(number, kind, variant, draw.random(), draw.uniform(0.2, 1.0) * pause)
        for number, (kind, variant) in enumerate(drawn, start=1)
    ]
