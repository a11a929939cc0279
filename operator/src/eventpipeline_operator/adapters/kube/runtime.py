"""The Runtime port on Kubernetes: renders records, writes what differs, answers from memory."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog

from eventpipeline_operator.adapters.kube.cache import Cache
from eventpipeline_operator.adapters.kube.client import NOT_FOUND, ApiError, KubeClient
from eventpipeline_operator.adapters.kube.facts import Child, summarise
from eventpipeline_operator.adapters.kube.manifests import job_name, render
from eventpipeline_operator.adapters.kube.ownership import digest_wanted
from eventpipeline_operator.adapters.kube.pods import secret_name
from eventpipeline_operator.adapters.kube.resources import (
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    MIDDLEWARE,
    NETWORK_POLICY,
    OPTIONAL,
    OWNED,
    POD,
    SECRET,
    SERVICE_ACCOUNT,
    Json,
    Ref,
)
from eventpipeline_operator.adapters.metrics import OBJECT_WRITES
from eventpipeline_operator.api import names
from eventpipeline_operator.api.observed import (
    MigrationPhase,
    MigrationState,
    Problem,
    WorkloadState,
)
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.desired.parting import delivered_names
from eventpipeline_operator.desired.records import (
    MigrationRecord,
    SecretReference,
    WorkloadRecord,
)
from eventpipeline_operator.errors import ReconcileError, Retryable, Stalled, Waiting
from eventpipeline_operator.reconcile.ports import Record
from eventpipeline_operator.reconcile.recording import record_call

log = structlog.get_logger()

FIRST = frozenset(
    kind.name for kind in (CONFIG_MAP, SECRET, SERVICE_ACCOUNT, MIDDLEWARE, NETWORK_POLICY)
)
RUNNING = (DEPLOYMENT.name, JOB.name, POD.name)
PRUNED = tuple(kind.name for kind in (*OWNED, *OPTIONAL))


class KubeRuntime:
    """Applies, prunes and observes children of pipelines."""

    def __init__(self, client: KubeClient, cache: Cache) -> None:
        self._client = client
        self._cache = cache
        self._equal: dict[Ref, tuple[bytes, bytes]] = {}

    async def apply(self, pipeline: EventPipeline, records: Sequence[Record]) -> None:
        """Write what differs; configuration first, the rest at once."""
        manifests = [manifest for record in records for manifest in render(pipeline, record)]
        for early in (True, False):
            wave = [m for m in manifests if (m["kind"] in FIRST) is early]
            results = await asyncio.gather(
                *(self._apply_one(pipeline, m) for m in wave), return_exceptions=True
            )
            for result in results:
                if result is not None:
                    raise result

    async def prune(self, pipeline: EventPipeline, records: Sequence[Record]) -> None:
        """Delete children that no record names and no pod uses any more."""
        kept = {Ref.of(m) for record in records for m in render(pipeline, record)}
        children = list(self._cache.of(pipeline.key))
        used = {name for child in children for name in child.uses if self._keeps(child, kept)}
        for child in children:
            if child.ref in kept or child.ref.kind not in PRUNED or child.deleting:
                continue
            if child.owner_uid != pipeline.uid:
                continue
            if child.ref.kind in (SECRET.name, CONFIG_MAP.name) and child.ref.name in used:
                continue
            log.info("pruning", object=str(child.ref))
            await self._delete(child)

    def observe_workload(self, pipeline: EventPipeline, record: WorkloadRecord) -> WorkloadState:
        """State of the Deployment and the first problem of its pods."""
        child = self._cache.get(_ref(pipeline, DEPLOYMENT.name, record.name))
        if child is None or child.rollout is None:
            return WorkloadState(record.name)
        rollout = child.rollout
        scaled = record.scaling is not None
        whole = rollout.total == (rollout.updated if scaled else rollout.wanted)
        return WorkloadState(
            name=record.name,
            wanted=rollout.wanted,
            updated=rollout.updated,
            available=rollout.available,
            current=rollout.current and whole,
            problem=self._pod_problem(pipeline, record.name) or child.problem,
            exists=True,
            least=record.scaling.scale.min if record.scaling else None,
        )

    def observe_migration(self, pipeline: EventPipeline, record: MigrationRecord) -> MigrationState:
        """State of the Job."""
        child = self._cache.get(_job_ref(pipeline, record))
        if child is None or child.deleting:
            return MigrationState(MigrationPhase.ABSENT)
        if child.succeeded:
            return MigrationState(MigrationPhase.SUCCEEDED)
        if child.failed:
            return MigrationState(MigrationPhase.FAILED, child.problem)
        problem = self._pod_problem(pipeline, record.workload.name)
        return MigrationState(MigrationPhase.RUNNING, problem)

    def observe_secret(
        self, pipeline: EventPipeline, wanted: SecretReference, source: str
    ) -> SecretReference | None:
        """The Secret of an entry that status names, else the newest, from the same source."""
        found = [
            child
            for child in self._cache.of(pipeline.key, SECRET.name)
            if child.secret and child.secret[:2] == (wanted.entry, source) and not child.deleting
        ]
        if not found:
            return None
        told = delivered_names(pipeline.status)
        last = max(found, key=lambda c: (c.ref.name in told, c.created, int(c.version)))
        return replace(
            wanted,
            revision=last.ref.name.removeprefix(names.object_name(pipeline.key, wanted.entry, "")),
            version=last.secret[2] if last.secret else "",
        )

    def holds_secret(self, pipeline: EventPipeline, reference: SecretReference) -> bool:
        """Whether the Secret is there and stays."""
        name = secret_name(pipeline.key, reference)
        child = self._cache.get(Ref(SECRET.name, pipeline.key.namespace, name))
        return child is not None and not child.deleting

    def holds_superseded(
        self, pipeline: EventPipeline, entry: str, reference: SecretReference | None
    ) -> bool:
        """Whether another Secret of the entry is there: pruning leaves those that pods use."""
        name = secret_name(pipeline.key, reference) if reference else None
        return any(
            child.secret and child.secret[0] == entry and child.ref.name != name
            for child in self._cache.of(pipeline.key, SECRET.name)
        )

    def holds_workloads(self, pipeline: EventPipeline) -> bool:
        """Whether a Deployment or Job is left, or a pod of one."""
        return any(
            child.ref.kind == POD.name or child.owner_uid == pipeline.uid
            for kind in RUNNING
            for child in self._cache.of(pipeline.key, kind)
        )

    def secret_name(self, pipeline: EventPipeline, reference: SecretReference) -> str:
        """Name of the delivered Secret."""
        return secret_name(pipeline.key, reference)

    async def _apply_one(self, pipeline: EventPipeline, manifest: Json) -> None:
        ref, wanted = Ref.of(manifest), digest_wanted(manifest)
        child = self._cache.get(ref) or await self._fetch(ref)
        if child:
            _refuse_foreign(pipeline, child)
            if child.owned == wanted or self._equal.get(ref) == (wanted, child.owned):
                return
            if ref.kind == JOB.name:  # its template cannot change
                await self._delete(child)
                raise Waiting(Reason.MIGRATION_RUNNING, f"{ref} is replaced")
        try:
            live = await self._client.apply(manifest)
        except ApiError as error:
            raise _refused(ref, error) from error
        applied = summarise(live, ref.kind)
        if applied.owned != wanted:  # the server writes some value in another form
            self._equal[ref] = (wanted, applied.owned)
        self._cache.put(applied)
        result = "created" if child is None else "configured"
        if child and child.version == applied.version:
            result = "unchanged"
        OBJECT_WRITES.labels(kind=ref.kind, result=result).inc()
        log.info("applied", object=str(ref), result=result)
        record_call("apply", str(ref), result)

    async def _fetch(self, ref: Ref) -> Child | None:
        """What the watches do not know may still be there without our labels."""
        try:
            live = await self._client.get(ref)
        except ApiError as error:
            raise error.classified(str(ref)) from error
        return summarise(live, ref.kind) if live else None

    async def _delete(self, child: Child) -> None:
        try:
            gone = await self._client.delete(child.ref, child.uid)
        except ApiError as error:
            raise error.classified(str(child.ref)) from error
        if gone:  # no watch need tell, and while none does it is not deleted again
            self._cache.discard(child.ref, child.uid)
        OBJECT_WRITES.labels(kind=child.ref.kind, result="deleted").inc()
        record_call("delete", str(child.ref), "deleted")

    def _pod_problem(self, pipeline: EventPipeline, workload: str) -> Problem | None:
        """The first problem among the pods of the newest revision."""
        pods = [
            child
            for child in self._cache.of(pipeline.key, POD.name)
            if child.workload == workload and not child.deleting
        ]
        if not pods:
            return None
        newest = max(pods, key=lambda pod: (pod.created, int(pod.version)))
        same = sorted(p.ref for p in pods if p.owner_uid == newest.owner_uid and p.problem)
        found = self._cache.get(same[0]) if same else None
        return found.problem if found else None

    @staticmethod
    def _keeps(child: Child, kept: set[Ref]) -> bool:
        """Pods use what they name; so do the Deployments and Jobs that stay."""
        return child.ref.kind == POD.name or child.ref in kept


def _refused(ref: Ref, error: ApiError) -> ReconcileError:
    if ref.kind == MIDDLEWARE.name and error.status == NOT_FOUND:
        return Stalled(
            Reason.ROUTE_NOT_SUPPORTED,
            f"{ref}: the cluster knows no such kind: install Traefik's CRDs, or remove "
            "spec.ingress.rateLimit and spec.ingress.retries",
        )
    return error.classified(str(ref))


def _refuse_foreign(pipeline: EventPipeline, child: Child) -> None:
    if child.owner_uid == pipeline.uid or (
        child.owner_uid is None and child.pipeline == pipeline.key
    ):
        if child.deleting:
            raise Waiting(Reason.PROGRESSING, f"{child.ref} is being deleted")
        return
    if child.owner == f"{names.KIND} {pipeline.key.name}":
        raise Retryable(
            Reason.OBJECT_CONFLICT, f"{child.ref} of the deleted predecessor is being removed"
        )
    raise Stalled(
        Reason.OBJECT_CONFLICT,
        f"{child.ref} exists and belongs to {child.owner or 'nobody'}: it is not taken over; "
        "rename the service or pipeline, or delete that object",
    )


def _ref(pipeline: EventPipeline, kind: str, name: str) -> Ref:
    return Ref(kind, pipeline.key.namespace, names.object_name(pipeline.key, name))


def _job_ref(pipeline: EventPipeline, record: MigrationRecord) -> Ref:
    return Ref(JOB.name, pipeline.key.namespace, job_name(pipeline, record))
