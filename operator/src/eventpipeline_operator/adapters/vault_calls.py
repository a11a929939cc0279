"""Calls to Vault through hvac, in threads, with their failures classified and counted.

Each Vault has threads of its own: one that does not answer holds up nobody who uses another.
"""

import asyncio
import tempfile
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import hvac
import requests
from hvac import exceptions as refused
from urllib3.exceptions import NewConnectionError

from eventpipeline_operator.adapters.metrics import VAULT_CALLS
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.errors import Retryable, Unanswered

T = TypeVar("T")
CaSource = Callable[[str, str], Awaitable[str]]

POOL = 6
VAULTS = 32
TIMEOUT_SECONDS = 10


class VaultCalls:
    """Clients, and the pool that their calls run in."""

    def __init__(self, authorities: CaSource, may_call: Callable[[], None] = lambda: None) -> None:
        self._authorities = authorities
        self._may_call = may_call
        self._pools: OrderedDict[str, ThreadPoolExecutor] = OrderedDict()
        self._bundles: dict[str, Path] = {}

    async def client(self, namespace: str, vault: Vault) -> hvac.Client:
        """A client without a token."""
        verify: bool | str = True
        if vault.ca_secret:
            verify = self._bundle(await self._authorities(namespace, vault.ca_secret))
        return hvac.Client(
            url=vault.address, namespace=vault.namespace, verify=verify, timeout=TIMEOUT_SECONDS
        )

    def _pool(self, address: str) -> ThreadPoolExecutor:
        pool = self._pools.get(address) or ThreadPoolExecutor(POOL, thread_name_prefix="vault")
        self._pools[address] = pool
        self._pools.move_to_end(address)
        if len(self._pools) > VAULTS:  # what runs in the oldest still comes to its end
            self._pools.popitem(last=False)[1].shutdown(wait=False)
        return pool

    def _bundle(self, pem: str) -> str:
        """Requests takes authorities only from a file."""
        if pem not in self._bundles:
            with tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False) as file:
                file.write(pem)
            self._bundles[pem] = Path(file.name)
        return str(self._bundles[pem])

    async def run(self, name: str, vault: Vault, call: Callable[[], T]) -> T:
        """Run one call; what Vault refuses is left to the caller."""

        def begin() -> T:
            self._may_call()  # it may have waited for a thread
            return call()

        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(self._pool(vault.address), begin)
        except refused.VaultDown as error:
            VAULT_CALLS.labels(call=name, outcome="sealed").inc()
            raise Retryable(
                Reason.VAULT_SEALED, f"Vault at {vault.address} is sealed: unseal it"
            ) from error
        except (
            refused.InternalServerError,
            refused.BadGateway,
            refused.RateLimitExceeded,
        ) as error:
            VAULT_CALLS.labels(call=name, outcome="failed").inc()
            raise Retryable(
                Reason.VAULT_UNAVAILABLE,
                f"Vault at {vault.address} fails: {words_of(error)}: look at its log",
            ) from error
        except refused.VaultError:
            VAULT_CALLS.labels(call=name, outcome="refused").inc()
            raise
        except requests.RequestException as error:
            VAULT_CALLS.labels(call=name, outcome="unreachable").inc()
            raise (Retryable if _never_sent(error) else Unanswered)(
                Reason.VAULT_UNAVAILABLE,
                f"Vault at {vault.address} does not answer ({type(error).__name__}): check "
                "spec.vault.address and that Vault runs",
            ) from error
        VAULT_CALLS.labels(call=name, outcome="ok").inc()
        return answer


def _never_sent(error: requests.RequestException) -> bool:
    """Nothing listens there: the call has not begun."""
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError)


def words_of(error: refused.VaultError) -> str:
    """What Vault said."""
    return ", ".join(str(e) for e in error.errors or ()) or type(error).__name__
