"""Through the Ingress of a running kind cluster, everything running there.

The databases in the cluster are not asked: what became of an accepted order is read from the API.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from eventbench.driving import Driven, Order, drive, look_up
from eventbench.recording import record_load
from eventbench.results import Stage
from eventbench.scenarios.effort import PRODUCTS, STOCK, Effort

HOST = "shop.localhost"
_SETTLE_SECONDS = 300.0
_CONNECTIONS = (16, 32, 64, 128)


def find_url(cluster: Path) -> str | None:
    """The Ingress of the cluster that `build/cluster.json` describes, None without one."""
    if not cluster.exists():
        return None
    return f"http://127.0.0.1:{json.loads(cluster.read_text())['httpPort']}"


def measure_ingress(url: str, directory: Path, effort: Effort) -> Iterator[Stage]:
    """The closed loop through the Ingress, then the open loop at half of that rate."""
    started = Order(connections=1, seconds=0, products=PRODUCTS, add_stock=STOCK)
    drive(url, started, directory, host=HOST)
    best = _best_connections(url, directory)
    closed = Stage("post-ingress", f"POST through the Ingress, closed loop, c={best}")
    order = Order(connections=best, seconds=effort.direct_seconds, warmup=1)
    yield _measure(url, directory, closed, order)
    half = Stage("post-ingress-half", "POST through the Ingress, open loop at half of that rate")
    rate = max(1, round(closed.figures["rps"] / 2))
    order = Order(connections=64, rate=rate, seconds=effort.direct_seconds, warmup=1)
    yield _measure(url, directory, half, order)


def _best_connections(url: str, directory: Path) -> int:
    """The number of connections that gets most through; what each try left is settled."""
    rates: dict[int, float] = {}
    for connections in _CONNECTIONS:
        order = Order(connections=connections, seconds=4, warmup=1)
        driven = drive(url, order, directory, host=HOST)
        rates[connections] = driven.result.rate
        _settled_statuses(url, directory, driven)
    return max(rates, key=lambda connections: rates[connections])


def _measure(url: str, directory: Path, stage: Stage, order: Order) -> Stage:
    driven = drive(url, order, directory, host=HOST)
    record_load(stage, driven)
    begin = time.monotonic()
    statuses = _settled_statuses(url, directory, driven)
    stage.figures["settled_after_s"] = round(time.monotonic() - begin, 1)
    stage.counts.accepted = len(driven.identifiers)
    stage.counts.finished = sum(count for s, count in statuses.items() if s != "PENDING")
    stage.counts.double(
        len(driven.identifiers) - len(set(driven.identifiers)), "answers with the same order"
    )
    stage.counts.lose(stage.counts.accepted - stage.counts.finished, "orders without an outcome")
    stage.counts.notes.append("mails are not counted through the Ingress")
    return stage


def _settled_statuses(url: str, directory: Path, driven: Driven) -> Counter[str]:
    """Ask for every accepted order until all have ended or the time is over."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    waiting = list(dict.fromkeys(driven.identifiers))
    ended: Counter[str] = Counter()
    while waiting and time.monotonic() < deadline:
        waiting = _ask(url, directory, waiting, ended)
        if waiting:
            time.sleep(1.0)
    ended["PENDING"] += len(waiting)
    return ended


def _ask(url: str, directory: Path, waiting: list[str], ended: Counter[str]) -> list[str]:
    """Count those that ended; answers the ids of those that did not (or were not found)."""
    remaining = set(waiting)
    for body in look_up(url, waiting, directory, host=HOST):
        order = json.loads(body)["data"]
        if order["status"] != "PENDING" and order["orderID"] in remaining:
            ended[order["status"]] += 1
            remaining.discard(order["orderID"])
    return [identifier for identifier in waiting if identifier in remaining]
