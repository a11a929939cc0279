"""CPU and memory of the operator's process over time, and its own metrics."""

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from eventbench.processes import descendants

_TICKS = os.sysconf("SC_CLK_TCK")
INTERVAL = 0.2

Metrics = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass
class Usage:
    """Samples of one process: seconds since the beginning, cores used, MiB resident."""

    pid: int
    started_at: float
    cores: list[tuple[float, float]] = field(default_factory=list)
    rss_mib: list[tuple[float, float]] = field(default_factory=list)
    cpu_seconds: float = 0.0

    @property
    def peak_mib(self) -> float:
        """The most that was resident at once: the kernel's own mark."""
        return max((mib for _, mib in self.rss_mib), default=0.0)

    async def follow(self) -> None:
        """Sample until cancelled or until the process ends."""
        first = before = _cpu_seconds(self.pid)
        then = time.monotonic()
        with suppress(FileNotFoundError, ProcessLookupError):
            while True:
                await asyncio.sleep(INTERVAL)
                cpu, now = _cpu_seconds(self.pid), time.monotonic()
                second = now - self.started_at
                self.cores.append((second, (cpu - before) / (now - then)))
                self.rss_mib.append((second, _rss_mib(self.pid)))
                self.cpu_seconds, before, then = cpu - first, cpu, now


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def cpu_of_all() -> dict[str, float]:
    """CPU seconds so far of this process and of everything that it started, by program."""
    found: dict[str, float] = {}
    for pid in descendants(os.getpid()):
        with suppress(FileNotFoundError, ProcessLookupError):
            program = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            name = program[2] if program[1:2] == [b"-m"] else program[0].rpartition(b"/")[2]
            found[name.decode()] = found.get(name.decode(), 0.0) + _cpu_seconds(pid)
    return found


async def scrape(session: aiohttp.ClientSession, url: str) -> Metrics:
    """All counters and gauges of the operator; empty while it does not answer."""
    try:
        async with session.get(url) as answer:
            text = await answer.text()
    except aiohttp.ClientError:
        return {}
    return {
        (
            sample.name.removeprefix("eventpipeline_"),
            tuple(sorted(sample.labels.items())),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def total(metrics: Metrics, name: str) -> float:
    """The sum over all labels."""
    return sum(value for (found, _), value in metrics.items() if found == name)


def growth(before: Metrics, after: Metrics, name: str) -> dict[str, int]:
    """How much each series of a counter grew, by its labels joined; without those that did not."""
    grown = {
        " ".join(value for _, value in labels): int(now - before.get((found, labels), 0.0))
        for (found, labels), now in after.items()
        if found == name
    }
    return {label: count for label, count in sorted(grown.items()) if count}
