"""Command line of `bench/compare`: two result files side by side."""

import argparse
import sys
from pathlib import Path

from eventbench.results import read_results
from eventbench.table import render_comparison


def main() -> int:
    """Print the table; files of another format are refused."""
    parser = argparse.ArgumentParser(prog="bench/compare", description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    options = parser.parse_args()
    try:
        before, after = (read_results(path) for path in (options.before, options.after))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(render_comparison(before, after, [str(options.before), str(options.after)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
