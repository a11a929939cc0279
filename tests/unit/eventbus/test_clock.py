"""How long a loop rests between two batches."""

import threading
from datetime import UTC, datetime

import pytest

from eventbus.clock import RELIEF_SECONDS, rest_after_batch


class StoppedClock:
    """A moment; keeps what it was asked to wait."""

    def __init__(self, moment: float) -> None:
        self.moment = moment
        self.waited: list[float] = []

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.moment, UTC)

    def monotonic(self) -> float:
        return self.moment

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.waited.append(seconds)
        return stop.is_set()


@pytest.mark.parametrize(
    ("took", "rests"),
    [
        pytest.param(0.001, 0.024, id="a quick batch, until the time to gather is over"),
        pytest.param(0.015, 0.03, id="a slow one, twice as long as it took"),
        pytest.param(0.5, RELIEF_SECONDS, id="a very slow one, no longer than is bearable"),
    ],
)
def test_a_loop_rests_by_what_its_batch_took(took: float, rests: float) -> None:
    clock = StoppedClock(100 + took)
    rest_after_batch(100, 0.025, clock, threading.Event())
    assert clock.waited == [pytest.approx(rests)]
