"""Waiting for a condition: the only way in which a test lets time pass."""

import time
from collections.abc import Callable
from typing import TypeVar

Observation = TypeVar("Observation")


def wait_for(
    what: str,
    observe: Callable[[], Observation],
    *,
    seconds: float = 30.0,
    interval: float = 0.05,
) -> Observation:
    """Returns the first truthy observation; after `seconds`, fails with the last one seen.

    An exception counts as "not yet" and is shown when the deadline passes.
    """
    deadline = time.monotonic() + seconds
    last: object = "nothing observed yet"
    while True:
        try:
            seen = observe()
        except Exception as error:  # noqa: BLE001 — whatever it was, it is the last thing seen
            last = error
        else:
            if seen:
                return seen
            last = seen
        if time.monotonic() > deadline:
            msg = f"after {seconds:g} s still waiting for: {what}; last seen: {last!r}"
            raise AssertionError(msg)
        time.sleep(interval)
