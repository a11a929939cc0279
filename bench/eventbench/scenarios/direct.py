"""The API alone: how soon it is there, and what it takes with every worker stopped."""

import time
from collections.abc import Iterator

from eventbench.driving import Order, drive
from eventbench.environment import SERVICES
from eventbench.observing import Observer
from eventbench.recording import record_load, record_stored
from eventbench.results import Stage
from eventbench.scenarios.effort import Effort
from eventbench.stack import Shop, Stack

_CONNECTIONS = (8, 16, 32, 64)
_CALIBRATION_SECONDS = 4


def measure_start(stack: Stack, _: Effort) -> Iterator[Stage]:
    """From the start of a process to its /readyz, one API after the other, then all workers."""
    stage = Stage("start", "Start of an API to /readyz")
    with stack.shop() as shop:
        for service in SERVICES:
            shop.start([f"{service}.api"], wait=False)
            stage.figures[f"{service}_api_s"] = round(shop.wait_ready(f"{service}.api"), 3)
        stage.figures["ready_s"] = max(stage.figures.values())
        begin = time.monotonic()
        shop.start()
        stage.figures["all_workers_s"] = round(time.monotonic() - begin, 3)
    yield stage


def measure_direct(stack: Stack, effort: Effort) -> Iterator[Stage]:
    """Saturation by the closed loop, then the open loop at half of that rate."""
    with stack.shop() as shop:
        shop.start(["order.api"])
        tried: dict[int, float] = {}
        earlier: set[str] = set()
        for connections in _CONNECTIONS:  # a warm-up, too
            order = Order(connections=connections, seconds=_CALIBRATION_SECONDS, warmup=1)
            trial = drive(shop.url("order"), order, shop.directory)
            tried[connections] = trial.result.rate
            earlier.update(trial.identifiers)
        best = max(tried, key=lambda connections: tried[connections])

        closed = Stage("post-direct", f"POST direct, closed loop, c={best}")
        order = Order(connections=best, seconds=effort.direct_seconds, warmup=1)
        yield _measure(shop, closed, order, earlier)

        half = Stage("post-direct-half", "POST direct, open loop at half of that rate")
        rate = max(1, round(closed.figures["rps"] / 2))
        order = Order(connections=64, rate=rate, seconds=effort.direct_seconds, warmup=2)
        yield _measure(shop, half, order, earlier)


def _measure(shop: Shop, stage: Stage, order: Order, earlier: set[str]) -> Stage:
    """One run of load, audited without the orders of earlier ones, which it then joins."""
    with Observer(shop) as observer:
        driven = drive(shop.url("order"), order, shop.directory)
    record_load(stage, driven)
    observer.describe(stage, driven.result.ok)
    del stage.figures["outbox_age_max_s"]  # nothing empties it here
    record_stored(shop, stage, driven, earlier)
    earlier.update(driven.identifiers)
    return stage
