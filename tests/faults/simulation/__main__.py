"""`python -m faults.simulation`: many random schedules in memory. `--help` lists the options."""

import argparse
import json
import logging
import multiprocessing
import os
import secrets
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from faults.checker import Sort
from faults.report import say
from faults.simulation.schedule import MUTATIONS, Verdict, simulate
from servers.local import REPOSITORY

_SHOWN = 5


def main() -> int:
    """0: nothing was found in any schedule."""
    parser = argparse.ArgumentParser(prog="faults.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=None, help="of the first; default: a new one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--mutation", choices=MUTATIONS, help="a guard to take away")
    given = parser.parse_args()
    first = secrets.randbelow(2**31) if given.seed is None else given.seed
    say(f"seeds {first} to {first + given.schedules - 1} (repeat with --seed {first})")
    started = time.monotonic()
    seeds = range(first, first + given.schedules)
    with multiprocessing.Pool(given.jobs, initializer=_silence) as pool:
        verdicts = pool.map(partial(simulate, mutation=given.mutation), seeds, chunksize=50)
    return _report(verdicts, time.monotonic() - started, REPOSITORY / "build")


def _silence() -> None:
    """What the loops say of faults is of no interest ten thousand times over."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _report(verdicts: list[Verdict], seconds: float, build: Path) -> int:
    guilty = [verdict for verdict in verdicts if verdict.findings]
    sorts = Counter(finding.sort for verdict in guilty for finding in verdict.findings)
    figures: dict[str, Any] = {
        "first_seed": verdicts[0].seed,
        "schedules": len(verdicts),
        "faults": sum(verdict.faults for verdict in verdicts),
        "orders": sum(verdict.orders for verdict in verdicts),
        **{sort.value: sorts[sort] for sort in Sort},
        "guilty_seeds": [verdict.seed for verdict in guilty],
        "seconds": round(seconds, 1),
    }
    build.mkdir(exist_ok=True)
    (build / "faults-simulation.json").write_text(json.dumps(figures, indent=2) + "\n")
    for verdict in guilty[:_SHOWN]:
        for finding in verdict.findings[:_SHOWN]:
            say(f"  seed {verdict.seed}: {finding.sort}, {finding.invariant}: {finding.detail}")
    say("  ".join(f"{name}={figure}" for name, figure in figures.items() if name != "guilty_seeds"))
    return 1 if guilty else 0


if __name__ == "__main__":
    sys.exit(main())
