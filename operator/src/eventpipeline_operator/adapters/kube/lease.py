"""Leader election: one Lease, two replicas, one that works.

A leader that was stopped or cut off for longer than the Lease lasts does not know that another has
taken over. Every write asks first (`check`), by this machine's clock alone; and a Lease that was
anybody else's in between is not continued, because what is in memory here is no longer true.
"""

import asyncio
import time
from collections.abc import Callable
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
WRITE_SECONDS = LEASE_SECONDS - 2.0  # a write that has just been let through needs time too


class LeaseLostError(RuntimeError):
    """Another replica may be working: this one has to stop at once."""


class Lease:
    """Acquires, keeps and gives back the Lease."""

    def __init__(self, client: KubeClient, namespace: str, identity: str) -> None:
        self._client = client
        self._ref = Ref(LEASE.name, namespace, NAME)
        self._identity = identity
        self._seen: tuple[str, float] = ("", 0.0)
        self._renewed = float("-inf")

    async def acquire(self) -> None:
        """Wait until the Lease is ours."""
        while not await self._attempt(self._free):  # noqa: ASYNC110 - the other end is a server
            await asyncio.sleep(RETRY_SECONDS)
        log.info("leading", identity=self._identity)

    async def keep(self) -> None:
        """Renew until cancelled; LeaseLostError when it cannot be renewed in time."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            late = time.monotonic() - self._renewed > LEASE_SECONDS - RENEW_SECONDS
            if not await self._attempt(self._ours) and late:
                raise self._lost()

    def check(self) -> None:
        """LeaseLostError when another may lead by now: nothing may be written any more."""
        if time.monotonic() - self._renewed > WRITE_SECONDS:
            raise self._lost()

    async def release(self) -> None:
        """Let the other replica take over without waiting."""
        try:
            live = await self._client.get(self._ref)
            if live and live["spec"].get("holderIdentity") == self._identity:
                live["spec"].update(holderIdentity="", renewTime=_now())
                await self._client.replace(self._ref, live)
        except ApiError as error:
            log.info("lease not released", error=str(error))

    async def _attempt(self, takes: Callable[[Json], bool]) -> bool:
        try:
            live = await self._client.get(self._ref)
            begun = time.monotonic()
            if live is None:
                await self._client.create(LEASE, self._ref.namespace, self._spec(None))
            elif takes(live):
                await self._client.replace(self._ref, self._spec(live))
            else:
                return False
        except ApiError as error:
            if error.status != CONFLICT:
                log.warning("lease not written", error=str(error))
            return False
        self._renewed = begun
        LEADER.set(1)
        OBJECT_WRITES.labels(kind="Lease", result="configured").inc()
        return True

    def _lost(self) -> LeaseLostError:
        LEADER.set(0)
        return LeaseLostError(self._identity)

    def _ours(self, live: Json) -> bool:
        """Still ours: nobody led in between."""
        if live["spec"].get("holderIdentity") != self._identity:
            raise self._lost()
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
