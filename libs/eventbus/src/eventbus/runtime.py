"""A worker process: its loops as threads, one stop for all of them, probes beside them.

Which loops a process runs is told on its command line, so the same image is a lone consumer, a
relay with a sweeper, or a whole small installation. A loop that ends with an error ends the
process: what cannot be handled is better started anew. Nor may the end itself hang: a loop that
does not come back when told to stop is left behind, and where it stood is logged.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

import structlog

from eventbus.probes import ProbeServer

log = structlog.get_logger(__name__)

STALE_SECONDS = 60.0
LEAVE_SECONDS = 40.0  # the longest honest wait is that of a relay for Kafka (35 s)


@dataclass
class Heartbeat:
    """A loop's sign of life, and whether it could work when it last looked."""

    ready: bool = False
    last: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """To be called in every turn of the loop."""
        self.last = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since the last turn."""
        return time.monotonic() - self.last


Loop = Callable[[threading.Event, Heartbeat], None]


class Worker:
    """Runs loops until SIGTERM, SIGINT or the first failure."""

    def __init__(
        self,
        loops: Mapping[str, Loop],
        metrics_port: int = 0,
        leave_seconds: float = LEAVE_SECONDS,
    ) -> None:
        self._loops = loops
        self._metrics_port = metrics_port
        self._leave_seconds = leave_seconds
        self._stop = threading.Event()
        self._failed = False
        self._heartbeats = {name: Heartbeat() for name in loops}

    def run(self) -> int:
        """Block until the end; answers the exit code."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        probes = ProbeServer(self._metrics_port, self.is_alive, self.is_ready)
        probes.start()
        threads = [
            threading.Thread(target=self._guard, args=(name, loop), name=name)
            for name, loop in self._loops.items()
        ]
        for thread in threads:
            thread.start()
        log.info("worker.started", loops=sorted(self._loops))
        self._wait(threads)
        probes.close()
        log.info("worker.stopped", failed=self._failed)
        return int(self._failed)

    def stop(self) -> None:
        """Ask every loop to finish what it has in hand."""
        self._stop.set()

    def is_alive(self) -> bool:
        """Every loop turned recently; says nothing about Kafka or Postgres."""
        return all(heartbeat.age < STALE_SECONDS for heartbeat in self._heartbeats.values())

    def is_ready(self) -> bool:
        """Every loop could do its work."""
        return not self._stop.is_set() and all(h.ready for h in self._heartbeats.values())

    def _wait(self, threads: Sequence[threading.Thread]) -> None:
        """Until every loop has ended; once one is told to stop, all must within a bound."""
        told_at: float | None = None
        while alive := [thread for thread in threads if thread.is_alive()]:
            if self._stop.is_set():
                told_at = told_at or time.monotonic()
                if time.monotonic() - told_at > self._leave_seconds:
                    self._abandon(alive)
            alive[0].join(0.5)  # without a timeout Python would not see signals

    def _abandon(self, threads: Sequence[threading.Thread]) -> None:
        """End the process as a crash would, which every loop must survive anyway."""
        frames = sys._current_frames()  # noqa: SLF001  # documented in `sys`
        for thread in threads:
            where = traceback.format_stack(frames[thread.ident]) if thread.ident in frames else []
            log.critical("worker.abandoned", loop=thread.name, where="".join(where))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        log.info("worker.stopping", signal=signal.Signals(number).name)
        self.stop()

    def _guard(self, name: str, loop: Loop) -> None:
        try:
            loop(self._stop, self._heartbeats[name])
        except Exception:  # whatever it was: a thread that died unseen would leave half a worker
            log.exception("worker.crashed", loop=name)
            self._failed = True
        finally:
            self._stop.set()
