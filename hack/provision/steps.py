"""The order of work: steps with needs, run in lanes so that downloads overlap with compiling."""

import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from provision.commands import ProvisionError
from provision.console import CONSOLE, Console, format_seconds

COMPILE = "compile"
FETCH = "fetch"
CLUSTER = "cluster"
LANES: Mapping[str, int] = {COMPILE: 1, FETCH: 2, CLUSTER: 1}


@dataclass(frozen=True)
class Step:
    """One piece of work; `run` answers which way it took and why."""

    name: str
    run: Callable[[], str]
    needs: tuple[str, ...] = ()
    lane: str = FETCH
    detail: Callable[[], str] = lambda: ""


class StepFailedError(ProvisionError):
    """A step's failure, with its name."""

    def __init__(self, name: str, cause: BaseException) -> None:
        super().__init__(f"{name}: {cause}")


def order_steps(steps: Iterable[Step]) -> list[Step]:
    """In an order in which needs come first, otherwise as given; names what cannot be ordered."""
    waiting = {step.name: step for step in steps}
    ordered: list[Step] = []
    done: set[str] = set()
    while waiting:
        free = [step for step in waiting.values() if done.issuperset(step.needs)]
        if not free:
            stuck = ", ".join(
                f"{step.name} (needs {', '.join(n for n in step.needs if n not in done)})"
                for step in waiting.values()
            )
            raise ProvisionError(f"steps that never become free: {stuck}")
        ordered.append(free[0])
        done.add(free[0].name)
        del waiting[free[0].name]
    return ordered


class Runner:
    """Runs a plan; the first failure ends it, whatever else is under way."""

    def __init__(self, console: Console = CONSOLE, lanes: Mapping[str, int] = LANES) -> None:
        self._console = console
        self._lanes = lanes

    def run(self, steps: Iterable[Step]) -> None:
        """Every step once, each when its needs are done and its lane has room."""
        waiting = order_steps(steps)
        done: set[str] = set()
        busy = dict.fromkeys(self._lanes, 0)
        ended: queue.Queue[tuple[Step, BaseException | None]] = queue.Queue()
        while waiting or any(busy.values()):
            for step in list(waiting):
                if busy[step.lane] < self._lanes[step.lane] and done.issuperset(step.needs):
                    waiting.remove(step)
                    busy[step.lane] += 1
                    self._start(step, ended)
            step, error = ended.get()
            busy[step.lane] -= 1
            done.add(step.name)
            if error is not None:
                raise StepFailedError(step.name, error) from error

    def _start(self, step: Step, ended: queue.Queue[tuple[Step, BaseException | None]]) -> None:
        def work() -> None:
            self._console.begin(step.name, step.detail)
            try:
                way = step.run()
            except BaseException as error:  # noqa: BLE001 - handed to the runner, which raises it
                seconds = self._console.end(step.name)
                self._console.say(f"✗ {step.name}: failed after {format_seconds(seconds)}")
                ended.put((step, error))
            else:
                seconds = self._console.end(step.name)
                self._console.say(f"✓ {step.name}: {way} ({format_seconds(seconds)})")
                ended.put((step, None))

        # A daemon, so that an interrupt or a failure ends the program at once: every step is safe
        # to cut off, and entry.py stops what it started.
        threading.Thread(target=work, name=step.name, daemon=True).start()
