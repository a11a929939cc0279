"""Leader election: one Lease, two replicas, one that works."""

import asyncio
import time
from datetime import UTC, datetime

import structlog

from eventpipeline_operator.adapters.kube.client import CONFLICT, ApiError, KubeClient
from eventpipeline_operator.adapters.kube.resources import LEASE, Json, Ref
from eventpipeline_operator.adapters.metrics import LEADER, OBJECT_WRITES

log = structlog.get_logger()

NAME = "eventpipeline-operator"
LEASE_SECONDS = 15
RENEW_SECONDS = 5.0
RETRY_SECONDS = 2.0


class LeaseLostError(RuntimeError):
    """Another replica may be working: this one has to stop at once."""


class Lease:
    """Acquires, keeps and gives back the Lease."""

    def __init__(self, client: KubeClient, namespace: str, identity: str) -> None:
        self._client = client
        self._ref = Ref(LEASE.name, namespace, NAME)
        self._identity = identity
        self._seen: tuple[str, float] = ("", 0.0)

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        while not await self._attempt():  # noqa: ASYNC110 - the other end is a server
            await asyncio.sleep(RETRY_SECONDS)
        LEADER.set(1)
        log.info("leading", identity=self._identity)

    async def keep(self) -> None:
        """Renew until cancelled; LeaseLostError when it cannot be renewed in time."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            if await self._attempt():
                renewed = time.monotonic()
            elif time.monotonic() - renewed > LEASE_SECONDS - RENEW_SECONDS:
                LEADER.set(0)
                raise LeaseLostError(self._identity)

    async def release(self) -> None:
        """Let the other replica take over without waiting."""
        try:
            live = await self._client.get(self._ref)
            if live and live["spec"].get("holderIdentity") == self._identity:
                live["spec"].update(holderIdentity="", renewTime=_now())
                await self._client.replace(self._ref, live)
        except ApiError as error:
            log.info("lease not released", error=str(error))

    async def _attempt(self) -> bool:
        try:
            live = await self._client.get(self._ref)
            if live is None:
                await self._client.create(LEASE, self._ref.namespace, self._spec(None))
            elif self._free(live):
                await self._client.replace(self._ref, self._spec(live))
            else:
                return False
        except ApiError as error:
            if error.status != CONFLICT:
                log.warning("lease not written", error=str(error))
            return False
        OBJECT_WRITES.labels(kind="Lease", result="configured").inc()
        return True

    def _free(self, live: Json) -> bool:
        """Ours, given back, or not renewed for as long as it lasts, by our own clock."""
        spec = live["spec"]
        if spec.get("holderIdentity") in (self._identity, "", None):
            return True
        renewed = spec.get("renewTime", "")
        if renewed != self._seen[0]:
            self._seen = (renewed, time.monotonic())
        return time.monotonic() - self._seen[1] > LEASE_SECONDS

    def _spec(self, live: Json | None) -> Json:
        before = live["spec"] if live else {}
        same = before.get("holderIdentity") == self._identity
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": _now(),
            "acquireTime": before.get("acquireTime") if same else _now(),
            "leaseTransitions": before.get("leaseTransitions", 0) + (0 if same or not live else 1),
        }
        metadata = live["metadata"] if live else {"name": NAME, "namespace": self._ref.namespace}
        return {
            "apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": metadata, "spec": spec,
        }  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
