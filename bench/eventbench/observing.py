"""Watches a running shop once a second: outbox age, CPU and memory of every process."""

import threading
import time
from types import TracebackType
from typing import Self

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812  # a class, lower-cased there

from eventbench.environment import SERVICES
from eventbench.processes import Usage, observe_usage
from eventbench.results import ProcessUse, Series, Stage
from eventbench.stack import Shop

_TICK_SECONDS = 1.0
_MEMORY_EVERY = 5  # ticks: adding up the pages of a process costs milliseconds
_OUTBOX_AGE = (
    "SELECT extract(epoch FROM clock_timestamp() - created_at)::float8 FROM outbox"
    " ORDER BY id LIMIT 1"
)


class Observer:
    """A block of observation; its findings are read when the block has ended."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer")
        self._before: dict[str, Usage] = {}
        self._after: dict[str, Usage] = {}
        self.started_at = 0.0
        self.outbox_age: dict[str, Series] = {service: [] for service in SERVICES}
        self.pss_mib: Series = []
        self.cpu_share: dict[str, Series] = {}

    def __enter__(self) -> Self:
        self.started_at = time.time()
        self._before = self._observe(memory=False)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._after = self._observe(memory=True)

    def uses(self, messages: int) -> list[ProcessUse]:
        """CPU between begin and end, memory at the end."""
        return [
            ProcessUse(
                name=name,
                processes=after.processes,
                cpu_seconds=round(spent := after.cpu_seconds - self._spent_before(name), 2),
                cpu_us_per_message=round(spent / max(1, messages) * 1e6, 1),
                pss_mib=round(after.pss_kib / 1024, 1),
            )
            for name, after in self._after.items()
        ]

    def describe(self, stage: Stage, messages: int) -> None:
        """Put everything seen into a stage."""
        stage.processes = self.uses(messages)
        ours = [use for use in stage.processes if use.name in self._shop.children]
        stage.figures["pss_mib"] = round(sum(use.pss_mib for use in ours), 1)
        stage.figures["pss_peak_mib"] = round(max((v for _, v in self.pss_mib), default=0.0), 1)
        stage.figures["cpu_us_per_order"] = round(sum(use.cpu_us_per_message for use in ours), 1)
        ages = [age for series in self.outbox_age.values() for _, age in series]
        stage.figures["outbox_age_max_s"] = round(max(ages, default=0.0), 3)
        for service, series in self.outbox_age.items():
            stage.series[f"outbox_age_s.{service}"] = series
        for name, series in self.cpu_share.items():
            stage.series[f"cpu_share.{name}"] = series
        stage.series["pss_mib"] = self.pss_mib

    def _spent_before(self, name: str) -> float:
        before = self._before.get(name)
        return before.cpu_seconds if before else 0.0

    def _observe(self, *, memory: bool) -> dict[str, Usage]:
        running = {name: child.pid for name, child in list(self._shop.children.items())}
        running["mail sink"] = self._shop.sinks.child.pid
        running |= self._shop.server_pids
        return {name: observe_usage(pid, memory=memory) for name, pid in running.items()}

    def _run(self) -> None:
        connections = {
            service: psycopg2.connect(url) for service, url in self._shop.site.databases.items()
        }
        for connection in connections.values():
            connection.autocommit = True
        tick, last = 0, self._before
        while not self._stop.wait(_TICK_SECONDS):
            elapsed = round(time.time() - self.started_at, 2)
            for service, connection in connections.items():
                self.outbox_age[service].append((elapsed, _outbox_age(connection)))
            now = self._observe(memory=tick % _MEMORY_EVERY == 0)
            self._note(elapsed, last, now)
            tick, last = tick + 1, now
        for connection in connections.values():
            connection.close()

    def _note(self, elapsed: float, last: dict[str, Usage], now: dict[str, Usage]) -> None:
        for name, usage in now.items():
            if name in last:
                share = (usage.cpu_seconds - last[name].cpu_seconds) / _TICK_SECONDS
                self.cpu_share.setdefault(name, []).append((elapsed, round(share, 3)))
        total = sum(now[name].pss_kib for name in self._shop.children if name in now)
        if total:
            self.pss_mib.append((elapsed, round(total / 1024, 1)))


def _outbox_age(connection: Connection) -> float:
    with connection.cursor() as cursor:
        cursor.execute(_OUTBOX_AGE)
        row = cursor.fetchone()
    return round(float(row[0]), 3) if row else 0.0
