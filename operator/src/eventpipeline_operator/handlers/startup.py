"""kopf's settings: it watches, and does nothing else."""

from typing import Any

import kopf


class NoEssence(kopf.DiffBaseStorage):
    """kopf copies each body several times to tell what changed; our handlers do not ask for it."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Nothing is compared."""
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        """Nothing was kept."""

    def store(self, **_: Any) -> None:
        """Nothing is kept."""


@kopf.on.startup()
async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    """Time limits against silent watches; no annotations, no events, no peering of kopf's own."""
    settings.watching.server_timeout, settings.watching.client_timeout = 300, 310
    settings.watching.connect_timeout, settings.watching.reconnect_backoff = 30, 1.0
    settings.watching.inactivity_timeout = 70
    settings.watching.chunk_size = 250
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 2
    settings.networking.request_timeout, settings.networking.connect_timeout = 30, 10
    settings.networking.enforce_retry_after = True
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.posting.loggers = False
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = NoEssence()
    # A watch that broke off is begun anew (main.py): by default kopf kills the process for it.
    settings.process.ultimate_exiting_timeout = None


@kopf.on.login()
async def login(**arguments: Any) -> kopf.ConnectionInfo | None:
    """The pod's ServiceAccount, or a kubeconfig; kopf's default would load a second client."""
    return kopf.login_with_service_account(**arguments) or kopf.login_with_kubeconfig(**arguments)
