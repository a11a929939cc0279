"""The operator, which ends itself as a power cut would at a boundary of its calls to the world.

`python -m servers.mortal_operator` with DIES_AT, the number of the boundary, from the start on.
What counts as a boundary is in fakes/mortal.py.
"""

import os
from typing import Any

from eventpipeline_operator import main as operator
from fakes.mortal import Life, mortal_ports

DIED = 86


class ProcessLife(Life):
    """Its end is the process's."""

    def end(self) -> None:
        """No clean-up, no goodbye."""
        os._exit(DIED)


def main() -> None:
    """Wrap the ports where they are put together, then run as ever."""
    life = ProcessLife(int(os.environ["DIES_AT"]))
    wiring: Any = operator
    build_ports = wiring.Ports

    def build_mortal_ports(**parts: Any) -> Any:
        return mortal_ports(build_ports(**parts), life)

    wiring.Ports = build_mortal_ports
    wiring.main()


if __name__ == "__main__":
    main()
