"""`python -m faults`: a fault run against the real thing. `--help` lists the options."""

import argparse
import secrets
import sys

from faults.mutations import MUTATIONS
from faults.plan import CLASSES
from faults.report import say, write
from faults.run import Options, run
from faults.stack import Missing
from servers.local import REPOSITORY

_LEAST_PER_CLASS = 5


def main() -> int:
    """0: all faults took place and nothing was found. 1: not so. 2: cannot run here."""
    options = _options()
    say(f"seed {options.seed} (repeat with --seed {options.seed})")
    try:
        report = run(options)
    except Missing as error:
        say(str(error))
        return 2
    path = REPOSITORY / "build" / "faults.json"
    if options.mutation:
        path = path.with_name(f"faults-{options.mutation}.json")
    write(report, path)
    if options.mutation:
        found = bool(report.findings)
        say(f"without {options.mutation}: {'noticed' if found else 'NOT NOTICED'}")
        return 0 if found else 1
    few = [kind for kind, n in report.classes().items() if n < _LEAST_PER_CLASS]
    if options.faults >= _LEAST_PER_CLASS * len(options.kinds) and few:
        say(f"fewer than {_LEAST_PER_CLASS}: {', '.join(few)}")
        return 1
    return 1 if report.findings else 0


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=150)
    parser.add_argument("--seed", type=int, default=None, help="default: a new one, printed")
    parser.add_argument("--minutes", type=float, default=12.0, help="at most")
    parser.add_argument("--rate", type=float, default=30.0, help="wishes a second")
    parser.add_argument("--pause", type=float, default=1.0, help="longest pause between faults")
    parser.add_argument("--kinds", default=None, help="classes, separated by commas")
    parser.add_argument("--mutation", choices=sorted(MUTATIONS), help="a guard to take away")
    given = parser.parse_args()
    kinds = [kind.strip() for kind in given.kinds.split(",")] if given.kinds else list(CLASSES)
    unknown = set(kinds) - CLASSES.keys()
    if unknown:
        parser.error(f"no such class: {', '.join(sorted(unknown))}")
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    return Options(
        seed=seed,
        faults=given.faults,
        kinds=kinds,
        minutes=given.minutes,
        rate=given.rate,
        pause=given.pause,
        keep=REPOSITORY / "build" / "faults" / (given.mutation or "plain"),
        mutation=given.mutation,
    )


if __name__ == "__main__":
    sys.exit(main())
