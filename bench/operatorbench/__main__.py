"""Command line of `bench/operator`: run scenarios, print, draw, write `operator.json`."""

import argparse
import asyncio
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from operatorbench.installation import Installation, MissingPartError, installed
from operatorbench.plots import draw
from operatorbench.results import (
    Stage,
    broken_bounds,
    render_stage,
    render_summary,
    summarize,
    write_results,
)
from operatorbench.scenarios import measure_full, measure_services, measure_topics

REPOSITORY = Path(__file__).resolve().parents[2]
SCENARIOS = ("topics", "services", "full")


def build_parser() -> argparse.ArgumentParser:
    """All options of `bench/operator`."""
    parser = argparse.ArgumentParser(prog="bench/operator", description=__doc__)
    parser.add_argument("--only", metavar="A,B", help=f"scenarios out of {', '.join(SCENARIOS)}")
    parser.add_argument("--topics", type=int, default=1000, help="topics, in one object and fifty")
    parser.add_argument("--services", type=int, default=200, help="objects with a service each")
    parser.add_argument("--objects", type=int, default=1000, help="full objects")
    parser.add_argument("--repeats", type=int, default=3, help="times that topics are measured")
    parser.add_argument("--resync", type=int, default=20, metavar="SECONDS")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "bench")
    return parser


def scenarios_of(only: str | None) -> list[str]:
    """The wanted scenarios in their order; unknown names end the program."""
    wanted = only.split(",") if only else list(SCENARIOS)
    unknown = [name for name in wanted if name not in SCENARIOS]
    if unknown:
        raise SystemExit(
            f"no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}"
        )
    return [name for name in SCENARIOS if name in wanted]


async def run_scenarios(
    at: Installation, names: Sequence[str], options: argparse.Namespace
) -> AsyncIterator[Stage]:
    """All stages of the wanted scenarios."""
    measured = {
        "topics": lambda: measure_topics(at, options.repeats, options.topics),
        "services": lambda: measure_services(at, options.services),
        "full": lambda: measure_full(at, options.objects),
    }
    for name in names:
        async for stage in measured[name]():
            yield stage


def describe_context(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Where and how: a figure without it means little."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # from PATH
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    sizes = ("topics", "services", "objects", "repeats", "resync")
    return {
        "commit": commit.stdout.strip(),
        "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "scenarios": list(names),
        **{size: getattr(options, size) for size in sizes},
    }


async def measure(options: argparse.Namespace, names: Sequence[str], stages: list[Stage]) -> None:
    """Run on servers of its own; what has ended is in `stages`, whatever happens next."""
    with installed(options.resync) as installation:
        async for stage in run_scenarios(installation, names, options):
            stages.append(stage)
            print(f"\n{render_stage(stage)}", flush=True)


def main() -> int:
    """Run; 1 when a figure is beyond its bound."""
    options = build_parser().parse_args()
    names = scenarios_of(options.only)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    context = describe_context(options, names)
    stages: list[Stage] = []
    try:
        asyncio.run(measure(options, names, stages))
    except MissingPartError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if stages:
            write_results(options.out / "operator.json", context, stages)
    summary = summarize(stages)
    print(f"\n{render_summary(summary)}")
    print(f"\n{options.out / 'operator.json'}, {draw(stages, options.out / 'operator.png')}")
    broken = broken_bounds(summary)
    print("\n".join(broken))
    return int(bool(broken))


def _leave(number: int, _: FrameType | None) -> None:
    """Unwind, so that every process is ended."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
