"""HTTP → statistics: windows over what was counted."""

from datetime import datetime, timedelta
from typing import Any

from eventbus.clock import Clock
from eventbus.envelope import timestamp
from eventbus.web.api import Api
from eventbus.web.operations import Answer, Operation
from eventbus.web.problems import Problem
from order_service.adapters.statistics import PostgresStatistics
from order_service.messages import StatsAnswer, StatsQuery
from order_service.statistics import BUCKET, EPOCH, Cell, Tally, TooMuch, Windows, add_up

USUAL_RANGE = timedelta(hours=1)
MOST_SUMS = 10_000  # in an answer, and as many counts below it


class StatsRoutes:
    """One operation, bound to what it needs."""

    def __init__(self, statistics: PostgresStatistics, clock: Clock) -> None:
        self._statistics = statistics
        self._clock = clock

    def register(self, api: Api) -> None:
        """Declare it."""
        api.add(
            Operation(
                "GET",
                "/stats",
                "Count orders by product and status in windows of time",
                StatsAnswer,
                query=StatsQuery,
                problems=[422],
            ),
            self.stats,
        )

    def stats(self, query: StatsQuery) -> Answer:
        """Windows that begin in the range, every `slide`; one after the other without it."""
        begin, end = _range(query, self._clock.now())
        length, slide = query.window // 60, (query.slide or query.window) // 60
        if slide > length:
            raise Problem(422, "slide: windows may overlap or touch; longer than window, it gaps.")
        try:
            windows = Windows.between(begin, end, length, slide)
            counted_up_to = self._statistics.counted_up_to()
            panes = self._statistics.panes(windows, query.product, MOST_SUMS)
            sums = add_up(panes, windows, MOST_SUMS)
        except TooMuch as error:
            raise Problem(422, str(error)) from None
        return Answer(
            {
                "countedUpTo": counted_up_to and timestamp(counted_up_to),
                "windows": [_show(cell, tally, length) for cell, tally in sums.items()],
            }
        )


def _range(query: StatsQuery, now: datetime) -> tuple[datetime, datetime]:
    """Without an end, until now; without a beginning, the hour before the end."""
    end = query.to or now
    begin = query.from_ or max(end, EPOCH + USUAL_RANGE) - USUAL_RANGE
    if begin >= end:
        raise Problem(422, "from: must lie before to.")
    if begin < EPOCH:
        raise Problem(422, "from: there were no orders before 1970.")
    return begin, end


def _show(cell: Cell, tally: Tally, length: int) -> dict[str, Any]:
    return {
        "start": timestamp(EPOCH + cell.start * BUCKET),
        "end": timestamp(EPOCH + (cell.start + length) * BUCKET),
        "product": cell.product,
        "status": cell.status,
        "orders": tally.orders,
        "quantity": tally.quantity,
        "late": tally.late,
    }
