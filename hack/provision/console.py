"""What a person sees while things are built: one line per event, and signs of life in between."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO


def format_seconds(seconds: float) -> str:
    """`4.2 s`, `37 s` or `3 min 05 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


@dataclass
class Activity:
    """Something under way: since when, and how to ask it what it is doing now."""

    name: str
    started: float
    detail: Callable[[], str] = field(default=lambda: "")


class Console:
    """Lines for everybody; on a terminal also one status line that keeps changing."""

    def __init__(self, stream: TextIO = sys.stderr, quiet_period: float = 15.0) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._period = 0.5 if self._terminal else quiet_period
        self._lock = threading.RLock()
        self._activities: dict[str, Activity] = {}
        self._begun = time.monotonic()
        self._last_line = self._begun
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None

    def say(self, text: str) -> None:
        """One line, with the time since the start in front."""
        with self._lock:
            self._erase()
            elapsed = int(time.monotonic() - self._begun)
            self._stream.write(f"[{elapsed // 60:02d}:{elapsed % 60:02d}] {text}\n")
            self._stream.flush()
            self._last_line = time.monotonic()

    def begin(self, name: str, detail: Callable[[], str] = lambda: "") -> None:
        """From now on `name` is shown to be under way."""
        with self._lock:
            self._activities[name] = Activity(name, time.monotonic(), detail)
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, daemon=True)
                self._ticker.start()

    def end(self, name: str) -> float:
        """It is over; answers how long it took."""
        with self._lock:
            activity = self._activities.pop(name)
            return time.monotonic() - activity.started

    def close(self) -> None:
        """No status line any more."""
        self._stop.set()
        with self._lock:
            self._erase()

    def _erase(self) -> None:
        if self._terminal:
            self._stream.write("\r\033[K")

    def _tick(self) -> None:
        while not self._stop.wait(self._period):
            with self._lock:
                silent = time.monotonic() - self._last_line
                if not self._activities or (not self._terminal and silent < self._period):
                    continue
                status = self._status()
                if self._terminal:
                    self._stream.write("\r\033[K" + status[:118])
                    self._stream.flush()
                else:
                    self.say(status)

    def _status(self) -> str:
        now = time.monotonic()
        parts = []
        for activity in self._activities.values():
            detail = activity.detail()
            suffix = f", {detail}" if detail else ""
            parts.append(f"{activity.name} ({format_seconds(now - activity.started)}{suffix})")
        return "… " + "; ".join(parts)


CONSOLE = Console()
