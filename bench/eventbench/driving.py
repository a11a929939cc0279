"""Runs the load generator as a process of its own, so that it measures alone and is measured."""

import dataclasses
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventbench.load import LoadResult
from eventbench.load_command import from_json

BENCH = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, kw_only=True)
class Order:
    """What the load generator is asked for; the names are its options."""

    connections: int = 32
    rate: float | None = None
    seconds: float = 10.0
    count: int | None = None
    warmup: float = 0.0
    products: int = 1000
    zipf: float = 1.0
    add_stock: int | None = None
    timeout: float = 10.0


@dataclass(frozen=True)
class Driven:
    """What came back: totals, the raw record, and the ids of accepted orders."""

    result: LoadResult
    raw: dict[str, Any]
    identifiers: list[str]


def drive(url: str, order: Order, directory: Path, *, host: str | None = None) -> Driven:
    """Run the load and wait for its end."""
    report, ids = directory / "load.json", directory / "load.ids"
    command = [
        *(sys.executable, "-m", "eventbench.load_command", "--url", url),
        *("--json", str(report), "--ids", str(ids)),
        *(("--host", host) if host else ()),
    ]
    for name, value in dataclasses.asdict(order).items():
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    finished = subprocess.run(  # our own command
        command,
        env={"PYTHONPATH": str(BENCH)},
        capture_output=True,
        text=True,
        check=False,
        timeout=order.seconds + order.timeout + 180,
    )
    if not report.exists():
        raise RuntimeError(f"the load generator failed:\n{finished.stderr[-2000:]}")
    raw: dict[str, Any] = json.loads(report.read_text())
    identifiers = ids.read_text().split()
    report.unlink()
    return Driven(from_json(raw), raw, identifiers)


def look_up(url: str, identifiers: list[str], directory: Path, *, host: str | None) -> list[str]:
    """GET orders by id; answers the bodies."""
    wanted, bodies = directory / "wanted.ids", directory / "bodies.txt"
    wanted.write_text("\n".join(identifiers))
    command = [
        *(sys.executable, "-m", "eventbench.load_command", "--url", url),
        *("--look-up", str(wanted), "--count", str(len(identifiers)), "--seconds", "300"),
        *("--bodies", str(bodies), "--connections", "8"),
        *(("--host", host) if host else ()),
    ]
    subprocess.run(  # our own command
        command, env={"PYTHONPATH": str(BENCH)}, capture_output=True, check=False, timeout=400
    )
    return bodies.read_text().splitlines()
