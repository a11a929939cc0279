"""Failpoints: named places in a process where a fault can be ordered from outside.

An order is a file `armed/<point>` whose text is the action. A process that passes the point claims
the order by renaming the file, which exactly one process can do, and which is the durable record
that the fault took place. Nothing of this is known to the services: `launch` wraps their seams.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Action(StrEnum):
    """What happens at a failpoint."""

    KILL = "kill"
    FREEZE = "freeze"
    FAIL = "fail"
    REWIND = "rewind"


@dataclass(frozen=True)
class Fired:
    """A failpoint that was reached."""

    point: str
    action: Action
    pid: int


class Failpoints:
    """The orders of one run: written by the injector, claimed by processes."""

    def __init__(self, directory: Path) -> None:
        self._armed = directory / "armed"
        self._fired = directory / "fired"
        for folder in (self._armed, self._fired):
            folder.mkdir(parents=True, exist_ok=True)

    def arm(self, point: str, action: Action) -> None:
        """Order a fault at the next passage of a point."""
        draft = self._fired.parent / f"draft.{point}"
        draft.write_text(action)
        draft.rename(self._armed / point)

    def disarm(self, point: str) -> None:
        """Withdraw an order that nobody claimed."""
        (self._armed / point).unlink(missing_ok=True)

    def fired(self, point: str) -> Fired | None:
        """Who claimed the order, None as long as nobody did; forgets it."""
        for path in self._fired.glob(f"{point}@*"):
            action = Action(path.read_text())
            path.unlink()
            return Fired(point, action, int(path.name.partition("@")[2]))
        return None

    def reach(self, point: str) -> Action | None:
        """Pass a point: dies or freezes here if so ordered; other actions are the caller's."""
        claim = self._fired / f"{point}@{os.getpid()}"
        try:
            (self._armed / point).rename(claim)
        except FileNotFoundError:
            return None
        action = Action(claim.read_text())
        if action is Action.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        if action is Action.FREEZE:
            os.kill(os.getpid(), signal.SIGSTOP)
        return action


@contextlib.contextmanager
def armed(failpoints: Failpoints, point: str, action: Action) -> Iterator[None]:
    """An order that is withdrawn at the end, whether claimed or not."""
    failpoints.arm(point, action)
    try:
        yield
    finally:
        failpoints.disarm(point)
