"""Time as a dependency: every loop and backoff takes a `Clock`, so that tests own the time."""

import threading
import time
from datetime import UTC, datetime
from typing import Protocol

# A loop that carries batches begins no two within this time, unless the first was full: a record
# after a rest is carried at once, and where many come, few large batches cost a fraction of many
# small ones. An order passes four such loops until it is confirmed.
GATHER_SECONDS = 0.025
# The same where nobody waits for what comes of it at once (a count, a mail to be written): the
# processor is then left to the loops that somebody waits for.
UNHURRIED_SECONDS = 0.2
# What a loop rests at most because its batch took long: an order meets four such loops.
RELIEF_SECONDS = 0.04


class Clock(Protocol):
    """What code may ask about time."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Sleep, unless `stop` is or becomes set; answers whether it is."""
        ...


class SystemClock:
    """The real clock."""

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since some point in the past."""
        return time.monotonic()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Sleep on the event itself, so that a stop is noticed at once."""
        return stop.wait(seconds)


def rest_after_batch(began: float, gather: float, clock: Clock, stop: threading.Event) -> None:
    """Sleep until the next batch may begin: `gather` seconds after this one, unless `stop` is set.

    Where the machine has too much to do, batches take long. A loop then rests twice as long as its
    batch took, at most `RELIEF_SECONDS`: fewer, larger batches are what relieves the machine.
    """
    now = clock.monotonic()
    relief = min(2 * (now - began), RELIEF_SECONDS)
    clock.wait(stop, max(0.0, began + gather - now, relief))
