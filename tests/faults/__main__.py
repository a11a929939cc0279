"""`python -m faults`: a fault run against the real thing. `--help` lists the options."""

import argparse
import secrets
import signal
import sys
from dataclasses import replace

from faults.mutations import MUTATIONS
from faults.plan import CLASSES
from faults.report import say, write
from faults.run import Options, run
from faults.stack import Missing, can_mount
from servers.local import REPOSITORY

_LEAST_PER_CLASS = 5
_FAULTS_PER_MUTATION = 6
_MUTANT_QUIET_SECONDS = 20.0  # what is lost never comes: no use in waiting long
_BUILD = REPOSITORY / "build"


def main() -> int:
    """0: all faults took place and nothing was found. 1: not so. 2: cannot run here."""
    given = _parser().parse_args()
    options = _options(given)
    signal.signal(signal.SIGTERM, _end)
    say(f"seed {options.seed} (repeat with --seed {options.seed})")
    try:
        if given.mutations:
            missed = [name for name in MUTATIONS if not _is_noticed(options, name)]
            return 1 if missed else 0
        report = run(options)
    except Missing as error:
        say(str(error))
        return 2
    write(report, _BUILD / "faults.json")
    few = [kind for kind, n in report.classes().items() if n < _LEAST_PER_CLASS]
    if few and options.faults >= _LEAST_PER_CLASS * len(options.kinds):
        say(f"fewer than {_LEAST_PER_CLASS}: {', '.join(few)}")
        return 1
    if report.struck < options.faults:
        say(f"only {report.struck} of {options.faults} faults took place")
        return 1
    return 1 if report.findings else 0


def _end(*_: object) -> None:
    """Told to stop: end everything that was started."""
    raise SystemExit(3)


def _is_noticed(options: Options, name: str) -> bool:
    """Whether a short run without one guard is judged to be wrong."""
    say(f"without {name}:")
    report = run(
        replace(
            options,
            kinds=MUTATIONS[name].kinds,
            faults=_FAULTS_PER_MUTATION,
            mutation=name,
            keep=_BUILD / "faults" / name,
            quiet_seconds=_MUTANT_QUIET_SECONDS,
        )
    )
    write(report, _BUILD / f"faults-without-{name}.json")
    say(f"without {name}: {'noticed' if report.findings else 'NOT NOTICED'}")
    return bool(report.findings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=150)
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--minutes", type=float, default=12.0, help="at most")
    parser.add_argument("--rate", type=float, default=30.0, help="wishes a second")
    parser.add_argument("--pause", type=float, default=1.0, help="longest pause between faults")
    parser.add_argument("--kinds", default=",".join(CLASSES), help="classes, separated by commas")
    parser.add_argument(
        "--mutations", action="store_true", help="take each guard away: the suite must notice"
    )
    return parser


def _options(given: argparse.Namespace) -> Options:
    kinds = [kind.strip() for kind in given.kinds.split(",")]
    unknown = set(kinds) - CLASSES.keys()
    if unknown:
        raise SystemExit(f"no such class: {', '.join(sorted(unknown))}")
    if "disk full" in kinds and not can_mount():
        say("no full disk: this user may not mount a small one (root may)")
        kinds.remove("disk full")
    return Options(
        seed=secrets.randbelow(2**32) if given.seed is None else given.seed,
        faults=given.faults,
        kinds=kinds,
        minutes=given.minutes,
        rate=given.rate,
        pause=given.pause,
        keep=_BUILD / "faults" / "plain",
    )


if __name__ == "__main__":
    sys.exit(main())
