"""How long and how much each scenario measures."""

from dataclasses import dataclass

STOCK = 1_000_000  # pieces of each product: more than any run orders
PRODUCTS = 1_000


@dataclass(frozen=True)
class Effort:
    """Seconds and counts; the default is for a look while working."""

    seconds: float = 60.0
    hot_seconds: float = 20.0
    direct_seconds: float = 15.0
    ladder_seconds: float = 10.0
    rate: float = 800.0
    backlog: int = 50_000
    warmup: float = 3.0
    # Until the broker's compiler has settled: at 800/s it takes half a core for so long, then a
    # fifth. The sustained stages run so much longer, and measure what comes after.
    broker_warmup: float = 30.0


# What published figures come from.
FULL = Effort(
    seconds=300.0, hot_seconds=60.0, direct_seconds=60.0, ladder_seconds=60.0, warmup=10.0
)
