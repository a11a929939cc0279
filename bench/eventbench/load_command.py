"""The load generator's command line: `bench/load --url http://127.0.0.1:8080 --rate 800`.

Standard library only, so that it also runs where nothing is installed. Several processes share a
plan where one core is not enough.
"""

import argparse
import dataclasses
import json
import multiprocessing
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from eventbench.histogram import Histogram
from eventbench.load import LoadResult, Plan, Second, run_load
from eventbench.mix import Mix, lookup_mix, order_mix, stock_mix


def build_parser() -> argparse.ArgumentParser:
    """All options of `bench/load`."""
    parser = argparse.ArgumentParser(prog="bench/load", description=__doc__)
    parser.add_argument("--url", required=True, help="base URL, for example http://127.0.0.1:8080")
    parser.add_argument("--host", help="Host header, where it is not the URL's")
    parser.add_argument("--rate", type=float, help="requests per second (open loop)")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--count", type=int, help="stop after so many requests")
    parser.add_argument("--warmup", type=float, default=0.0, help="seconds not measured")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds per request")
    parser.add_argument("--products", type=int, default=1000, help="1 is the one hot product")
    parser.add_argument("--zipf", type=float, default=1.0, help="exponent; 0 is uniform")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--add-stock", type=int, metavar="N", help="put N of each product first")
    parser.add_argument("--look-up", type=Path, metavar="FILE", help="GET these orders instead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the raw result")
    parser.add_argument("--ids", type=Path, metavar="FILE", help="write accepted order ids")
    parser.add_argument("--bodies", type=Path, metavar="FILE", help="write answers, one a line")
    return parser


def plan_of(options: argparse.Namespace) -> tuple[Plan, str]:
    """The plan of the whole run, and the Host header."""
    url = urlsplit(options.url)
    if url.scheme != "http" or url.hostname is None:
        raise SystemExit(f"--url {options.url}: must be http://HOST[:PORT]")
    plan = Plan(
        address=url.hostname,
        port=url.port or 80,
        connections=options.connections,
        rate=options.rate,
        seconds=options.seconds,
        count=options.count,
        warmup=options.warmup,
        timeout=options.timeout,
    )
    return plan, options.host or url.netloc


def split_plan(plan: Plan, parts: int) -> list[Plan]:
    """Equal shares for several processes."""
    return [
        dataclasses.replace(
            plan,
            connections=max(1, plan.connections // parts),
            rate=plan.rate / parts if plan.rate else None,
            count=plan.count // parts if plan.count else None,
        )
        for _ in range(parts)
    ]


def merge_results(results: list[LoadResult]) -> LoadResult:
    """One result out of those of several processes."""
    merged = LoadResult(started_at=min(result.started_at for result in results))
    merged.measured_seconds = max(result.measured_seconds for result in results)
    for result in results:
        merged.cpu_seconds += result.cpu_seconds
        merged.sent += result.sent
        merged.ok += result.ok
        merged.unknown += result.unknown
        merged.unsent += result.unsent
        merged.statuses += result.statuses
        merged.histogram.merge(result.histogram)
        merged.identifiers += result.identifiers
        merged.bodies += result.bodies
        for number, second in result.seconds.items():
            total = merged.seconds.setdefault(number, Second())
            total.ok += second.ok
            total.failed += second.failed
            total.histogram.merge(second.histogram)
    return merged


def to_json(result: LoadResult) -> dict[str, Any]:
    """The raw result as `--json` writes it."""
    return {
        "started_at": result.started_at,
        "measured_seconds": round(result.measured_seconds, 3),
        "rate": round(result.rate, 1),
        "cpu_seconds": round(result.cpu_seconds, 3),
        "sent": result.sent,
        "ok": result.ok,
        "unknown": result.unknown,
        "unsent": result.unsent,
        "statuses": {str(status): count for status, count in sorted(result.statuses.items())},
        "latency_ms": result.histogram.summary(),
        "histogram_us": result.histogram.to_json(),
        "seconds": [
            {
                "second": number,
                "ok": second.ok,
                "failed": second.failed,
                "p50": second.histogram.percentile(50),
                "p99": second.histogram.percentile(99),
            }
            for number, second in sorted(result.seconds.items())
        ],
    }


def from_json(stored: dict[str, Any]) -> LoadResult:
    """The totals that `to_json` wrote."""
    return LoadResult(
        started_at=stored["started_at"],
        measured_seconds=stored["measured_seconds"],
        cpu_seconds=stored["cpu_seconds"],
        sent=stored["sent"],
        ok=stored["ok"],
        unknown=stored["unknown"],
        unsent=stored["unsent"],
        statuses=Counter({int(status): count for status, count in stored["statuses"].items()}),
        histogram=Histogram.from_json(stored["histogram_us"]),
    )


def _choose_mix(options: argparse.Namespace, host: str) -> Mix:
    if options.look_up:
        return lookup_mix(host, options.look_up.read_text().split())
    return order_mix(host, options.products, options.zipf, options.seed)


def _run(plan: Plan, options: argparse.Namespace, host: str) -> LoadResult:
    if options.add_stock:
        stocked = run_load(
            dataclasses.replace(
                plan, rate=None, count=options.products, seconds=120.0, warmup=0.0, connections=4
            ),
            stock_mix(host, options.products, options.add_stock),
        )
        if stocked.ok != options.products:
            raise SystemExit(f"stock could not be added: {dict(stocked.statuses)}")
    mix = _choose_mix(options, host)
    keep = options.bodies is not None
    if options.processes == 1:
        return run_load(plan, mix, keep_bodies=keep)
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        shares = [(share, mix) for share in split_plan(plan, options.processes)]
        return merge_results(pool.starmap(run_load, shares))


def print_result(result: LoadResult) -> None:
    """A few lines for a person."""
    latency = result.histogram.summary()
    shown = "  ".join(f"{name} {value:.2f}" for name, value in latency.items())
    print(f"{result.rate:.1f} good answers per second, {result.ok} in all; latency ms: {shown}")
    share = result.cpu_seconds / result.measured_seconds
    print(
        f"statuses {dict(result.statuses)}, unknown {result.unknown}, unsent {result.unsent};"
        f" generator used {share:.0%} of a core"
    )


def main() -> int:
    """Run the load and write what was seen; 1 when a request had no good answer."""
    options = build_parser().parse_args()
    plan, host = plan_of(options)
    result = _run(plan, options, host)
    if options.json:
        options.json.write_text(json.dumps(to_json(result)))
    if options.ids:
        options.ids.write_bytes(b"".join(identifier + b"\n" for identifier in result.identifiers))
    if options.bodies:
        options.bodies.write_bytes(b"".join(body.strip() + b"\n" for body in result.bodies))
    print_result(result)
    return int(result.ok != result.sent)


if __name__ == "__main__":
    sys.exit(main())
