"""One fault run from start to end: servers, services, load, faults, quiet, judgement."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faults.checker import Evidence, check
from faults.client import Load, Shop
from faults.failpoints import Failpoints
from faults.fleet import Fleet
from faults.history import Journal, Strike, read_attempts, read_poisons
from faults.injector import Field, strike
from faults.layout import Site, copy_sources
from faults.mailsink import read_mails
from faults.observe import CONSUMED, Observer, State
from faults.plan import Fault, build_plan
from faults.report import Report, say
from faults.stack import Stack, wait_for_apis
from servers.local import REPOSITORY
from servers.waiting import wait_for

_TAIL_SECONDS = 60.0  # of the time allowed, kept for the end
_CHANCES = 4  # a failpoint may not be passed in time
_PLAIN_SECONDS = 3.0  # of load after the last fault: whoever was set back notices by a record
_PRODUCTS = 20
_PIECES = 100_000


@dataclass(frozen=True)
class Options:
    """What a run is asked for."""

    seed: int
    faults: int
    kinds: Sequence[str]
    minutes: float
    rate: float
    pause: float
    keep: Path
    mutation: str | None = None
    quiet_seconds: float = 120.0


def run(options: Options) -> Report:
    """Carry the plan out and judge; everything that was started is ended."""
    plan = build_plan(options.seed, options.faults, options.kinds, options.pause)
    started = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="eventpipeline-faults-"))
    try:
        return _Run(options, plan, directory, started).carry_out()
    finally:
        _keep(directory, options.keep)


class _Run:
    def __init__(
        self, options: Options, plan: Sequence[Fault], directory: Path, started: float
    ) -> None:
        self._options = options
        self._plan = plan
        self._directory = directory
        self._started = started
        self._strikes: list[Strike] = []

    def carry_out(self) -> Report:
        """From nothing to a report."""
        with contextlib.ExitStack() as stack:
            servers = Stack(self._directory)
            stack.callback(servers.close)
            servers.start()
            site = servers.site(self._options.mutation)
            copy_sources(REPOSITORY, site)
            servers.migrate(site)
            fleet = Fleet(site)
            stack.callback(fleet.close)
            wait_for_apis(site)
            observer = Observer(servers.databases, servers.kafka.bootstrap_servers)
            journal = self._journal(stack, "history")
            load = Load(Shop(site.api_ports), journal, self._options.seed, self._options.rate)
            initial = load.stock_up(_PRODUCTS, _PIECES)
            say(f"up after {self._elapsed():.0f} s; {len(self._plan)} faults follow")
            load.start()
            field = Field(
                servers, fleet, Failpoints(self._directory), self._journal(stack, "poisons")
            )
            self._strike_all(field, self._journal(stack, "faults"))
            time.sleep(_PLAIN_SECONDS)
            load.stop()
            quiet = self._wait_until_quiet(observer)
            if quiet >= self._options.quiet_seconds:
                fleet.ask_where()
            state = observer.state()
            say(f"{self._elapsed():6.1f} s  the state is read")
            evidence = Evidence(
                initial_stock=initial,
                attempts=read_attempts(self._directory / "history.jsonl"),
                strikes=self._strikes,
                poisons=read_poisons(self._directory / "poisons.jsonl"),
                mails=read_mails(self._directory / "mails.jsonl"),
                state=state,
                unordered_exits=[str(item) for item in fleet.unordered()],
                redriven=self._redrive(servers, site, observer) if state.dead_letters else None,
            )
            say(f"{self._elapsed():6.1f} s  everything ends")
            return Report(
                options=self._options,
                evidence=evidence,
                findings=check(evidence),
                self_ended=[str(item) for item in fleet.unordered()],
                seconds=self._elapsed(),
                quiet_seconds=quiet,
            )

    def _strike_all(self, field: Field, journal: Journal) -> None:
        """The plan in its order; what did not take place has further chances at the end."""
        deadline = self._started + self._options.minutes * 60 - _TAIL_SECONDS
        left = list(self._plan)
        for _ in range(_CHANCES):
            missed = []
            for fault in left:
                if time.monotonic() > deadline:
                    say(f"out of time before fault {fault.number} of {len(self._plan)}")
                    return
                if not self._strike(fault, field, journal):
                    missed.append(fault)
            left = missed

    def _strike(self, fault: Fault, field: Field, journal: Journal) -> bool:
        time.sleep(fault.pause)  # drawn by the plan: how much load lies between two faults
        started = time.time()
        try:
            struck, note = strike(fault, field)
        except Exception as error:  # noqa: BLE001 — a fault that fails is a fault not struck
            struck, note = False, f"{type(error).__name__}: {error}"
        ended = time.time()
        done = Strike(fault.number, fault.kind, fault.variant, started, ended, struck, note)
        journal.write(done)
        self._strikes.append(done)
        mark = "" if struck else "  NOT STRUCK"
        say(
            f"{self._elapsed():6.1f} s  {fault.number:4}  {fault.kind}: {fault.variant}"
            f"  {ended - started:.1f} s  {note}{mark}"
        )
        return struck

    def _redrive(self, servers: Stack, site: Site, observer: Observer) -> State:
        """Send every dead letter on its way again, as a person would; what comes back stays."""
        letters = {service: observer.letter_ids(service) for service in CONSUMED}
        for service, ids in letters.items():
            if ids:
                servers.command(site, service, "redrive", *ids)
        self._wait_until_quiet(observer)
        return observer.state()

    def _wait_until_quiet(self, observer: Observer) -> float:
        started = time.monotonic()
        with contextlib.suppress(AssertionError):  # the checker says what still waits
            wait_for("quiet", observer.is_quiet, seconds=self._options.quiet_seconds, interval=0.5)
        quiet = time.monotonic() - started
        say(f"quiet after {quiet:.0f} s")
        return quiet

    def _journal(self, stack: contextlib.ExitStack, name: str) -> Journal:
        journal = Journal(self._directory / f"{name}.jsonl")
        stack.callback(journal.close)
        return journal

    def _elapsed(self) -> float:
        return time.monotonic() - self._started


def _keep(directory: Path, keep: Path) -> None:
    """The histories and logs outlive the run."""
    shutil.rmtree(keep, ignore_errors=True)
    keep.mkdir(parents=True)
    for path in (
        *directory.glob("*.jsonl"),
        *directory.glob("*.log"),
        *directory.glob("kafka/*.log"),
    ):
        shutil.copy(path, keep)
    if (directory / "logs").exists():
        shutil.copytree(directory / "logs", keep / "logs")
    shutil.rmtree(directory, ignore_errors=True)
