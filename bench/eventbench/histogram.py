"""Latencies in logarithmic buckets: any range, below one per cent of error, cheap to merge."""

from collections.abc import Iterable, Mapping

_SUB_BITS = 7
_SUB = 1 << _SUB_BITS  # buckets per power of two: a width of 1/128 of the value

PERCENTILES = (50.0, 90.0, 99.0, 99.9)


class Histogram:
    """Counts durations; kept in microseconds, asked for in milliseconds."""

    __slots__ = ("count", "counts", "max_us")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.max_us = 0
        self.count = 0

    def record(self, seconds: float) -> None:
        """Count one duration."""
        value = max(0, int(seconds * 1e6))
        index = _index(value)
        self.counts[index] = self.counts.get(index, 0) + 1
        self.count += 1
        self.max_us = max(self.max_us, value)

    def merge(self, other: "Histogram") -> None:
        """Add what another one counted."""
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count
        self.count += other.count
        self.max_us = max(self.max_us, other.max_us)

    def percentile(self, percent: float) -> float:
        """The smallest bucket below which `percent` of the durations lie, in milliseconds."""
        wanted = max(1, -int(-self.count * percent // 100))
        seen = 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            if seen >= wanted:
                return min(_upper(index), self.max_us) / 1000
        return 0.0

    @property
    def max_ms(self) -> float:
        """The longest duration, exact."""
        return self.max_us / 1000

    def summary(self) -> dict[str, float]:
        """The usual percentiles and the maximum, in milliseconds."""
        named = {f"p{percent:g}": self.percentile(percent) for percent in PERCENTILES}
        return {**named, "max": self.max_ms}

    def to_json(self) -> dict[str, int]:
        """Upper edge of each bucket in microseconds → count: readable without this class."""
        return {str(_upper(index)): self.counts[index] for index in sorted(self.counts)}

    @classmethod
    def from_json(cls, stored: Mapping[str, int]) -> "Histogram":
        """What `to_json` wrote; the maximum is then that of its bucket."""
        histogram = cls()
        for upper, count in stored.items():
            histogram.counts[_index(int(upper))] = count
            histogram.count += count
            histogram.max_us = max(histogram.max_us, int(upper))
        return histogram


def histogram_of(durations: Iterable[float]) -> Histogram:
    """All durations (seconds) in one histogram."""
    histogram = Histogram()
    for duration in durations:
        histogram.record(duration)
    return histogram


def _index(value: int) -> int:
    shift = max(0, value.bit_length() - _SUB_BITS - 1)
    return shift * _SUB + (value >> shift)


def _upper(index: int) -> int:
    """The largest value that falls into a bucket."""
    if index < 2 * _SUB:
        return index
    shift = index // _SUB - 1
    return ((index - shift * _SUB + 1) << shift) - 1
