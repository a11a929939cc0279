"""From the times of single orders to percentiles and to what each second saw; pure."""

from collections import Counter
from collections.abc import Iterable, Mapping

from eventbench.histogram import Histogram, histogram_of
from eventbench.ledger import OrderFate
from eventbench.results import Series, Stage


def describe_orders(
    stage: Stage, orders: Mapping[str, OrderFate], started_at: float, warmup: float
) -> None:
    """Percentiles (after the warm-up) and series of POST → CONFIRMED and POST → mail."""
    settled = [
        (fate.placed_at, fate.settled_at) for fate in orders.values() if fate.status != "PENDING"
    ]
    mailed = [
        (fate.placed_at, fate.mailed_at) for fate in orders.values() if fate.mailed_at is not None
    ]
    for name, spans in {"confirmed": settled, "mailed": mailed}.items():
        measured = histogram_of(end - begin for begin, end in spans if begin - started_at >= warmup)
        add_latencies(stage, name, measured)
        stage.series[f"{name}_per_s"] = rate_series((end for _, end in spans), started_at)
        for percent, series in latency_series(spans, started_at).items():
            stage.series[f"{name}_{percent}_ms"] = series
    placed = (fate.placed_at for fate in orders.values())
    stage.series["placed_per_s"] = rate_series(placed, started_at)


def add_latencies(stage: Stage, name: str, histogram: Histogram) -> None:
    """Put one histogram into a stage: percentiles, raw buckets, and p99 among its figures."""
    stage.percentiles_ms[name] = histogram.summary()
    stage.histograms_us[name] = histogram.to_json()
    stage.figures[f"{name}_p50_ms"] = round(histogram.percentile(50), 2)
    stage.figures[f"{name}_p99_ms"] = round(histogram.percentile(99), 2)


def rate_series(moments: Iterable[float], started_at: float) -> Series:
    """How many fell into each second since the start."""
    counted = Counter(int(moment - started_at) for moment in moments)
    return [(float(second), float(counted[second])) for second in sorted(counted)]


def latency_series(spans: Iterable[tuple[float, float]], started_at: float) -> dict[str, Series]:
    """p50 and p99 of what began in each second."""
    seconds: dict[int, Histogram] = {}
    for begin, end in spans:
        seconds.setdefault(int(begin - started_at), Histogram()).record(end - begin)
    return {
        f"p{percent}": [
            (float(second), seconds[second].percentile(percent)) for second in sorted(seconds)
        ]
        for percent in (50, 99)
    }
