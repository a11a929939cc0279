"""The load itself: closed loop (as fast as answers come) or open loop (at a fixed rate).

In the open loop a latency begins when the request should have left, not when a connection was free
for it: a server that stalls is charged for everything that waited (coordinated omission).
"""

import asyncio
import gc
import re
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from eventbench.histogram import Histogram
from eventbench.mix import Mix
from eventbench.wire import Answer, Connection

_ORDER_ID = re.compile(rb'"orderID" *: *"([^"]+)"')
_TICK_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much load, for how long. `rate` None is the closed loop."""

    address: str
    port: int
    connections: int = 16
    rate: float | None = None
    seconds: float = 10.0
    count: int | None = None
    warmup: float = 0.0
    timeout: float = 10.0


@dataclass
class Second:
    """What one second of the run saw, by the time of the answer."""

    ok: int = 0
    failed: int = 0
    histogram: Histogram = field(default_factory=Histogram)


@dataclass
class LoadResult:
    """What the client saw; `unknown` requests were sent and never answered."""

    started_at: float = 0.0
    measured_seconds: float = 0.0
    cpu_seconds: float = 0.0
    sent: int = 0
    ok: int = 0
    unknown: int = 0
    unsent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    histogram: Histogram = field(default_factory=Histogram)
    seconds: dict[int, Second] = field(default_factory=dict)
    identifiers: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Good answers per second, after the warm-up."""
        return self.histogram.count / self.measured_seconds if self.measured_seconds else 0.0


class Load:
    """One run of a plan on one event loop."""

    def __init__(self, plan: Plan, mix: Mix, *, keep_bodies: bool = False) -> None:
        self._plan = plan
        self._mix = mix
        self._keep_bodies = keep_bodies
        self.result = LoadResult()
        self._connections: set[Connection] = set()
        self._idle: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._scheduled = 0
        self._start = 0.0
        self._measure_from = 0.0
        self._last_answer = 0.0
        self._over = False
        self._dials: set[asyncio.Task[None]] = set()

    async def run(self) -> LoadResult:
        """Send everything, wait for what is in flight, give up at the time limit."""
        self._loop = asyncio.get_running_loop()
        await asyncio.gather(*(self._dial() for _ in range(self._plan.connections)))
        cpu = time.process_time()
        gc.disable()
        self._start = time.perf_counter()
        self._measure_from = self._start + self._plan.warmup
        self.result.started_at = time.time()
        if self._plan.rate is None:
            for connection in list(self._idle):
                self._next_closed(connection)
        else:
            self._schedule()
        await self._finish()
        gc.enable()
        self.result.cpu_seconds = time.process_time() - cpu
        return self.result

    def opened(self, connection: Connection) -> None:
        """A connection is ready; the first ones wait for the start."""
        self._connections.add(connection)
        if not self._start:
            self._idle.append(connection)
        else:
            self._freed(connection)

    def answered(self, connection: Connection, answer: Answer) -> None:
        """Count an answer, then use the connection again."""
        now = time.perf_counter()
        self._last_answer = now
        result = self.result
        result.statuses[answer.status] += 1
        second = result.seconds.setdefault(int(now - self._start), Second())
        if 200 <= answer.status < 300:
            latency = now - connection.intended
            result.ok += 1
            second.ok += 1
            second.histogram.record(latency)
            if now >= self._measure_from:
                result.histogram.record(latency)
            if (found := _ORDER_ID.search(answer.body)) is not None:
                result.identifiers.append(found[1])
            if self._keep_bodies:
                result.bodies.append(answer.body)
        else:
            second.failed += 1
        if not answer.closes:
            self._freed(connection)

    def lost(self, connection: Connection) -> None:
        """A request in flight is now of unknown fate; another connection takes this one's place."""
        self._connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.busy:
            connection.busy = False
            self.result.unknown += 1
            self._second_now().failed += 1
        if not self._over:
            task = self._loop.create_task(self._dial())
            self._dials.add(task)
            task.add_done_callback(self._dials.discard)

    def _second_now(self) -> Second:
        elapsed = int(time.perf_counter() - self._start)
        return self.result.seconds.setdefault(elapsed, Second())

    async def _dial(self) -> None:
        while not self._over:
            try:
                await self._loop.create_connection(
                    lambda: Connection(self), self._plan.address, self._plan.port
                )
            except OSError:
                if not self._start:
                    raise  # nobody listens: that is not load, that is a mistake
                await asyncio.sleep(0.05)
            else:
                return

    def _freed(self, connection: Connection) -> None:
        if self._plan.rate is None:
            self._next_closed(connection)
        elif self._due:
            self._send(connection, self._due.popleft(), time.perf_counter())
        else:
            self._idle.append(connection)

    def _next_closed(self, connection: Connection) -> None:
        now = time.perf_counter()
        if self._is_scheduled_out(now):
            return
        self._scheduled += 1
        self._send(connection, now, now)

    def _is_scheduled_out(self, now: float) -> bool:
        count = self._plan.count
        if count is not None and self._scheduled >= count:
            return True
        return now - self._start >= self._plan.seconds

    def _schedule(self) -> None:
        """Send what is due; queue it where every connection is busy."""
        rate = self._plan.rate
        assert rate is not None  # noqa: S101  # the open loop
        now = time.perf_counter()
        while True:
            due = self._start + self._scheduled / rate
            if self._is_scheduled_out(due):
                return
            if due > now:
                break
            self._scheduled += 1
            if self._idle:
                self._send(self._idle.popleft(), due, now)
            else:
                self._due.append(due)
        self._loop.call_later(due - now, self._schedule)

    def _send(self, connection: Connection, intended: float, now: float) -> None:
        connection.send(self._mix.request(self.result.sent), intended, now)
        self.result.sent += 1

    async def _finish(self) -> None:
        limit = self._start + self._plan.seconds + self._plan.timeout
        pause = 0.002 if self._plan.count else 0.02
        while (now := time.perf_counter()) < limit:
            if self._is_scheduled_out(now) and not self._due and not self._any_busy():
                break
            self._drop_late(now)
            await asyncio.sleep(pause if self._is_scheduled_out(now) else _TICK_SECONDS)
        self._over = True
        now = time.perf_counter()
        self.result.unsent = len(self._due)
        for due in self._due:  # they waited at least that long
            self.result.histogram.record(now - due)
        end = min(now, max(self._last_answer, self._start))
        if self._plan.rate is not None:
            end = max(end, self._start + self._plan.seconds)
        self.result.measured_seconds = max(1e-6, end - self._measure_from)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    def _any_busy(self) -> bool:
        return any(connection.busy for connection in self._connections)

    def _drop_late(self, now: float) -> None:
        for connection in list(self._connections):
            if connection.busy and now - connection.sent > self._plan.timeout:
                connection.abort()


def run_load(plan: Plan, mix: Mix, *, keep_bodies: bool = False) -> LoadResult:
    """Run a plan in this process."""
    return asyncio.run(Load(plan, mix, keep_bodies=keep_bodies).run())
