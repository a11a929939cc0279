"""Command line of `bench/services`: run scenarios, print, draw, write `services.json`."""

import argparse
import dataclasses
import os
import platform
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from eventbench.plots import draw_stages
from eventbench.results import Stage, write_results
from eventbench.scenarios import INGRESS, LOCAL, NAMES, Effort, ingress
from eventbench.scenarios.effort import FULL
from eventbench.stack import MissingPartError, running_stack
from eventbench.table import render_stage, render_stages

REPOSITORY = Path(__file__).resolve().parents[2]


def build_parser() -> argparse.ArgumentParser:
    """All options of `bench/services`."""
    parser = argparse.ArgumentParser(prog="bench/services", description=__doc__)
    parser.add_argument("--full", action="store_true", help="as long as published figures need")
    parser.add_argument("--only", metavar="A,B", help=f"scenarios out of {', '.join(NAMES)}")
    parser.add_argument("--seconds", type=float, help="length of the sustained run")
    parser.add_argument("--rate", type=float, help="orders per second of the sustained run")
    parser.add_argument("--backlog", type=int, help="orders of the drain")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "bench")
    return parser


def effort_of(options: argparse.Namespace) -> Effort:
    """The chosen effort with what the command line changes."""
    chosen = {
        name: value
        for name in ("seconds", "rate", "backlog")
        if (value := getattr(options, name)) is not None
    }
    return dataclasses.replace(FULL if options.full else Effort(), **chosen)


def scenarios_of(only: str | None) -> list[str]:
    """The wanted scenarios in their order; unknown names end the program."""
    wanted = only.split(",") if only else list(NAMES)
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise SystemExit(f"no such scenario: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return [name for name in NAMES if name in wanted]


def run_scenarios(names: Sequence[str], effort: Effort) -> Iterator[Stage]:
    """All stages of the wanted scenarios; the local servers run only while they are needed."""
    local = [name for name in names if name in LOCAL]
    if local:
        with running_stack() as stack:
            for name in local:
                yield from LOCAL[name](stack, effort)
    if INGRESS in names:
        url = ingress.find_url(REPOSITORY / "build" / "cluster.json")
        if url is None:
            print("no cluster (build/cluster.json): nothing is sent through an Ingress")
            return
        with tempfile.TemporaryDirectory(prefix="eventbench-") as directory:
            yield from ingress.measure_ingress(url, Path(directory), effort)


def describe_context(effort: Effort, names: Sequence[str]) -> dict[str, Any]:
    """Where and how: a figure without it means little."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # from PATH
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "commit": commit.stdout.strip(),
        "started_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "python_build": sysconfig.get_config_var("CONFIG_ARGS"),
        "cpus": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "effort": dataclasses.asdict(effort),
        "scenarios": list(names),
    }


def main() -> int:
    """Run; 1 when anything was lost or doubled."""
    options = build_parser().parse_args()
    names, effort = scenarios_of(options.only), effort_of(options)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    context = describe_context(effort, names)
    stages: list[Stage] = []
    try:
        for stage in run_scenarios(names, effort):
            stages.append(stage)
            print(f"\n{render_stage(stage)}", flush=True)
    except MissingPartError as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        if stages:
            write_results(options.out / "services.json", context, stages)
    print(f"\n{render_stages(stages)}")
    drawn = draw_stages(stages, options.out)
    print(f"\n{options.out / 'services.json'} and {len(drawn)} pictures beside it")
    return int(any(stage.counts.lost or stage.counts.doubled for stage in stages))


def _leave(number: int, _: FrameType | None) -> None:
    """Unwind, so that every process is ended."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
