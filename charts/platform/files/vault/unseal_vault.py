"""Unseals the demo's Vault whenever it finds it sealed.

A Vault that restarts comes back sealed. This process watches it from a pod of its own, with the
key that the bootstrap Job left in a Secret; a production Vault would ask a key service instead.
The standard library is enough for two HTTP calls, and keeps the process at a few megabytes.
"""

import json
import logging
import os
import signal
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LOG = logging.getLogger("unseal_vault")
KEY_FILE = Path("/keys/unseal-key")
LOOKED_FILE = Path("/tmp/looked")  # noqa: S108  the pod's own volume; its age is the liveness probe
INTERVAL_SECONDS = 1.0
REQUEST_SECONDS = 5.0


def call_vault(address: str, path: str, body: dict[str, str] | None = None) -> Any:
    """GET the path, or PUT the body to it, and return what Vault answers."""
    request = urllib.request.Request(  # noqa: S310  the address is the chart's
        f"{address}/v1/{path}",
        data=json.dumps(body).encode() if body else None,
        method="PUT" if body else "GET",
    )
    with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:  # noqa: S310
        return json.load(response)


def unseal_if_sealed(address: str, key_file: Path) -> str:
    """Look once, unseal where needed and possible; return the state that was reached."""
    state = call_vault(address, "sys/seal-status")
    if not state["initialized"]:
        return "not initialised yet"
    if not state["sealed"]:
        return "unsealed"
    # The kubelet brings a Secret made after this pod started within about a minute.
    if not key_file.exists():
        return "sealed, and the key has not arrived yet"
    state = call_vault(address, "sys/unseal", {"key": key_file.read_text().strip()})
    return "sealed, key not accepted" if state["sealed"] else "unsealed"


def main() -> None:
    """Look every second until SIGTERM; log each change of state once."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    address = os.environ["VAULT_ADDR"]
    known = ""
    while not stop.is_set():
        try:
            state = unseal_if_sealed(address, KEY_FILE)
        except (OSError, urllib.error.HTTPError, ValueError) as error:
            state = f"no answer: {error}"
        if state != known:
            LOG.info("vault %s", state)
            known = state
        LOOKED_FILE.touch()
        stop.wait(INTERVAL_SECONDS)


if __name__ == "__main__":
    main()
