"""`python -m faults.launch order_service relay`: a process of a service, with failpoints.

It starts the service as its own `__main__` would, after wrapping the seams of its role. Where
orders for failpoints lie is told by `FAULTS_DIRECTORY`, a guard to take away by `FAULTS_MUTATION`.
Asked by SIGUSR2, a process writes into its log where each of its threads stands.
"""

import faulthandler
import importlib
import os
import signal
import sys
from pathlib import Path

from eventbus.command import main as run_service
from faults import mutations, seams
from faults.failpoints import Failpoints


def main() -> int:
    """Answers the service's own exit code."""
    faulthandler.register(signal.SIGUSR2, all_threads=True)
    package, *arguments = sys.argv[1:]
    service = os.environ["SERVICE"]
    worker = os.environ.get("WORKER") or "api"
    seams.install(service, worker, Failpoints(Path(os.environ["FAULTS_DIRECTORY"])))
    mutation = os.environ.get("FAULTS_MUTATION")
    if mutation:
        mutations.apply(mutation, service, worker)
    return run_service(importlib.import_module(f"{package}.__main__").SERVICE, arguments)


if __name__ == "__main__":
    sys.exit(main())
