"""Counting what became of orders, by the minute in which it happened; pure.

Each change of an order is counted once, in the minute of its own time, however late it is heard
of. A partition's clock is the latest time heard in it: a change that lies further behind it than
the lateness that is allowed is counted all the same, and noted as late. So what is counted depends
on the events alone, never on how they were cut into batches. Windows are sums of minutes.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from order_service.domain import Status

BUCKET = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_WINDOWS = 1_000


@dataclass(frozen=True, slots=True)
class Change:
    """What one event tells: an order came into a state."""

    order_id: str
    version: int
    status: Status
    product: str
    quantity: int
    at: datetime
    partition: int = 0

    @property
    def id(self) -> tuple[str, int]:
        """The same however often it is told."""
        return self.order_id, self.version


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """What is counted apart; `start` in buckets since the epoch."""

    start: int
    product: str
    status: Status


@dataclass(frozen=True, slots=True)
class Tally:
    """Changes, the pieces in them, and how many of them came late."""

    orders: int = 0
    quantity: int = 0
    late: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.orders + other.orders, self.quantity + other.quantity, self.late + other.late
        )

    def __neg__(self) -> "Tally":
        return Tally(-self.orders, -self.quantity, -self.late)


NOTHING = Tally()
Cells = Mapping[Cell, Tally]


@dataclass(frozen=True, slots=True)
class Increments:
    """What a batch adds, and where the clocks of its partitions stand afterwards."""

    cells: Cells
    clocks: Mapping[int, datetime]


def count(
    changes: Sequence[Change],
    fresh: Collection[tuple[str, int]],
    clocks: Mapping[int, datetime],
    lateness: timedelta,
) -> Increments:
    """Changes in the order of their partitions; those not `fresh` were counted before."""
    cells: dict[Cell, Tally] = defaultdict(Tally)
    after, left = dict(clocks), set(fresh)
    for change in changes:
        clock = after.get(change.partition, change.at)
        after[change.partition] = max(clock, change.at)
        if change.id in left:
            left.discard(change.id)
            cell = Cell(bucket_of(change.at), change.product, change.status)
            cells[cell] += Tally(1, change.quantity, int(change.at < clock - lateness))
    return Increments(cells, after)


def bucket_of(moment: datetime) -> int:
    """The bucket that a moment lies in."""
    return (moment - EPOCH) // BUCKET


class TooMuch(Exception):
    """More is asked for than an answer should hold; says what to do."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one length that begin every `slide`, at its multiples; all in buckets."""

    first: int
    count: int
    length: int
    slide: int

    @classmethod
    def between(cls, begin: datetime, end: datetime, length: int, slide: int) -> "Windows":
        """Those that begin before `end`, from the one that begins at `begin` or just before."""
        first = bucket_of(begin) // slide * slide
        count = math.ceil((end - EPOCH - first * BUCKET) / (slide * BUCKET))
        if count > MOST_WINDOWS:
            raise TooMuch(f"That is more than {MOST_WINDOWS} windows: narrow the range.")
        return cls(first, count, length, slide)

    @property
    def end(self) -> int:
        """The first bucket behind all of them."""
        return self.first + (self.count - 1) * self.slide + self.length

    @property
    def pane(self) -> int:
        """Buckets that lie in the same windows wherever they lie: the unit to be fetched."""
        return math.gcd(self.length, self.slide)

    def start_of(self, number: int) -> int:
        """Where a window begins."""
        return self.first + number * self.slide

    def over(self, bucket: int) -> range:
        """The numbers of the windows that a bucket lies in."""
        entered = (bucket - self.first) // self.slide + 1
        left = max(0, (bucket - self.first - self.length) // self.slide + 1)
        return range(left, min(entered, self.count))


def add_up(panes: Cells, windows: Windows, most: int) -> dict[Cell, Tally]:
    """Each window's sums, by time, product and status; empty ones are left out."""
    sums: dict[Cell, Tally] = {}
    for cell, tally in _sums(panes, windows):
        if len(sums) == most:
            raise TooMuch(f"That is more than {most} sums: name a product or narrow the range.")
        sums[cell] = tally
    return dict(sorted(sums.items()))


def _sums(panes: Cells, windows: Windows) -> Iterator[tuple[Cell, Tally]]:
    """One pane enters a window and leaves it again; in between it adds to each of them."""
    steps: dict[tuple[str, Status], dict[int, Tally]] = defaultdict(lambda: defaultdict(Tally))
    for cell, tally in panes.items():
        over = windows.over(cell.start)
        series = steps[cell.product, cell.status]
        series[over.start] += tally
        series[over.stop] += -tally
    for (product, status), series in steps.items():
        running = NOTHING
        for begin, end in pairwise(sorted(series)):
            running += series[begin]
            if running != NOTHING:
                for number in range(begin, end):
                    yield Cell(windows.start_of(number), product, status), running
