"""Command line of `bench/stock-cache`: GETs of single products, with and without the read cache.

One API process as in examples/shop.yaml, on a real Postgres and a real Redis. The ways take turns,
round by round, so that what else the machine does falls on all of them.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

from eventbench.load import Plan, run_load
from eventbench.mix import level_mix, stock_mix
from eventbench.processes import Child, observe_usage
from servers.local import free_port
from servers.postgres import PostgresServer, find_binaries
from servers.redis import RedisServer, find_redis
from servers.waiting import wait_for

HOST = "127.0.0.1"
WAYS = ("without", "redis", "redis gone")


@dataclass(frozen=True)
class Figures:
    """One run of one way."""

    rate: float
    p50_ms: float
    p99_ms: float
    api_us: float
    postgres_us: float
    redis_us: float


def build_parser() -> argparse.ArgumentParser:
    """All options of `bench/stock-cache`."""
    parser = argparse.ArgumentParser(prog="bench/stock-cache", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--products", type=int, default=1_000)
    parser.add_argument("--rate", type=float, help="requests a second (open loop); else closed")
    return parser


def measure(
    options: argparse.Namespace, directory: Path, postgres: PostgresServer, redis: RedisServer
) -> Iterator[tuple[str, Figures]]:
    """Every way, once a round."""
    url = postgres.create_database("stock")
    run_to_end(["migrate"], {"DATABASE_URL": url}, directory)
    for _ in range(options.rounds):
        for way in WAYS:
            cached = {} if way == "without" else {"REDIS_URL": redis.url}
            with serving({"DATABASE_URL": url, **cached}, directory) as (api, port):
                plan = Plan(address=HOST, port=port, connections=4, count=options.products)
                run_load(plan, stock_mix(HOST, options.products, 100))
                with stopped(redis) if way == "redis gone" else contextlib.nullcontext():
                    yield way, run_once(options, port, (api.pid, postgres.pid, redis.pid))


def run_once(
    options: argparse.Namespace, port: int, pids: tuple[int | None, int | None, int | None]
) -> Figures:
    """A second to warm up, then so many seconds of load; CPU is that of both."""
    plan = Plan(
        address=HOST,
        port=port,
        connections=options.connections,
        rate=options.rate,
        seconds=options.seconds + 1,
        warmup=1.0,
    )
    before = [cpu_seconds(pid) for pid in pids]
    result = run_load(plan, level_mix(HOST, options.products))
    spent = [cpu_seconds(pid) - start for pid, start in zip(pids, before, strict=True)]
    if result.ok != result.sent:
        raise SystemExit(f"not every answer was good: {dict(result.statuses)}")
    api, postgres, redis = (1e6 * each / result.ok for each in spent)
    latency = result.histogram
    return Figures(
        result.rate,
        latency.percentile(50),
        latency.percentile(99),
        api,
        postgres,
        redis,
    )


def cpu_seconds(pid: int | None) -> float:
    """Of a process and everything below it."""
    return observe_usage(pid, memory=False).cpu_seconds if pid else 0.0


@contextlib.contextmanager
def serving(settings: Mapping[str, str], directory: Path) -> Iterator[tuple[Child, int]]:
    """A stock API of one process."""
    port = free_port()
    own = {**settings, "PORT": str(port), "HTTP_PROCESSES": "1", "DRAIN_SECONDS": "0"}
    child = Child("api", command("api"), environment(own), directory / "api.log")
    try:
        ready = f"http://{HOST}:{port}/readyz"
        wait_for("the API", lambda: requests.get(ready, timeout=1).ok, seconds=60)
        yield child, port
    finally:
        child.stop()


@contextlib.contextmanager
def stopped(redis: RedisServer) -> Iterator[None]:
    """Gone for as long as the block lasts."""
    redis.stop()
    try:
        yield
    finally:
        redis.start()


def run_to_end(arguments: list[str], settings: Mapping[str, str], directory: Path) -> None:
    """A command of the service that ends by itself."""
    child = Child("task", command(*arguments), environment(settings), directory / "task.log")
    try:
        if child.wait(120):
            raise SystemExit(child.log.read_text()[-2_000:])
    finally:
        child.stop()


def command(*arguments: str) -> list[str]:
    """The service's command line."""
    return [sys.executable, "-m", "stock_service", *arguments]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Nothing is inherited but the way to programs."""
    return {"PATH": os.environ["PATH"], "SERVICE": "stock", "LOG_LEVEL": "warning", **settings}


def render(runs: Mapping[str, list[Figures]]) -> str:
    """A table of medians."""
    lines = ["way            GET/s   p50 ms   p99 ms   µs of CPU per GET: api  postgres  redis"]
    for way, found in runs.items():
        rate, p50, p99, api, postgres, redis = (
            statistics.median(getattr(each, name) for each in found)
            for name in Figures.__dataclass_fields__
        )
        lines.append(
            f"{way:12} {rate:8.0f} {p50:8.2f} {p99:8.2f} {api:23.0f} {postgres:9.0f} {redis:6.0f}"
        )
    return "\n".join(lines)


def main() -> int:
    """Run and print; 2 when a part is missing."""
    options = build_parser().parse_args()
    binaries = find_binaries()
    with tempfile.TemporaryDirectory(prefix="eventbench-") as name:
        directory = Path(name)
        program = find_redis(directory / "unpacked")
        if binaries is None or isinstance(program, str):
            print(program if binaries else "PostgreSQL is missing: `make setup-tests`")
            return 2
        for part in ("postgres", "redis"):
            (directory / part).mkdir()
        postgres = PostgresServer(binaries, directory / "postgres")
        redis = RedisServer(program, directory / "redis")
        postgres.start()
        redis.start()
        runs: dict[str, list[Figures]] = {way: [] for way in WAYS}
        try:
            for way, figures in measure(options, directory, postgres, redis):
                runs[way].append(figures)
        finally:
            redis.stop()
            postgres.stop()
    print(f"load of the machine: {os.getloadavg()[0]:.1f}\n{render(runs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
