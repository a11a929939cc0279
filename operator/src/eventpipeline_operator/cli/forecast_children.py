"""Records as they will be and live children → which children an apply writes and deletes. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from eventpipeline_operator.adapters.kube.facts import summarise
from eventpipeline_operator.adapters.kube.manifests import job_name, render
from eventpipeline_operator.adapters.kube.ownership import (
    digest_owned,
    digest_wanted,
    extract_owned,
)
from eventpipeline_operator.adapters.kube.resources import (
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    OPTIONAL,
    OWNED,
    SECRET,
    Ref,
)
from eventpipeline_operator.api import labels, names
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.cli.changes import Action, Change, Sight, System
from eventpipeline_operator.cli.comparing import compare
from eventpipeline_operator.cli.forecast_users import known_logins
from eventpipeline_operator.desired.records import (
    MigrationRecord,
    SecretReference,
    TrafficRecord,
    WorkloadRecord,
)
from eventpipeline_operator.desired.routes import build_route, settle_route
from eventpipeline_operator.desired.traffic import build_traffic
from eventpipeline_operator.desired.workloads import build_migration, build_workloads
from eventpipeline_operator.reconcile.ports import Record

Json = dict[str, Any]
Delivered = Mapping[str, SecretReference]
PRUNED = {kind.name for kind in (*OWNED, *OPTIONAL)}
REPLACED = {CONFIG_MAP.name, JOB.name}  # they cannot change: a new one takes their place


@dataclass
class Children:
    """What is foreseen of them."""

    changes: list[Change] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Wanted:
    """Manifests to be applied, and those that only keep what is there."""

    applied: list[Json]
    kept: set[Ref]


def forecast_children(pipeline: EventPipeline, references: Delivered, sight: Sight) -> Children:
    """Compare all manifests with the live children, then see what is left over."""
    live = {Ref.of(child): child for child in sight.children}
    asked = build_route(pipeline)
    known_class = sight.traefik_class
    if known_class is None:  # the operator's installer has said; we take it that it fits
        known_class = (asked and asked.class_name) or ""
    route, unsupported = settle_route(asked, known_class)
    wanted = _render(pipeline, references, [route] if route else [], live)
    found = Children()
    if unsupported:
        found.problems.append(unsupported.message)
    found.changes += _secret_changes(pipeline, references)
    for manifest in wanted.applied:
        known = live.get(Ref.of(manifest))
        if known is not None and not _is_ours(pipeline, known):
            owner = summarise(known, manifest["kind"]).owner or "nobody"
            found.problems.append(
                f"{Ref.of(manifest)} exists and belongs to {owner}: it is not taken over"
            )
            continue
        found.changes += _compare(manifest, known, _predecessor(manifest, wanted, sight))
    found.changes += _pruned(pipeline, wanted, sight, found.changes)
    return found


def _render(
    pipeline: EventPipeline,
    references: Delivered,
    routes: Iterable[Record],
    live: Mapping[Ref, Json],
) -> _Wanted:
    applied: list[Json] = []
    kept = {Ref.of(m) for r in references.values() for m in render(pipeline, r)}
    traffic = build_traffic(pipeline)
    for service in pipeline.services:
        migration = build_migration(pipeline, service, references)
        if migration:
            manifests = _with_traffic(pipeline, migration, traffic)
            kept |= {Ref.of(m) for m in manifests}
            if not _is_done(pipeline, migration, live):
                applied += manifests
        for record in build_workloads(pipeline, service, references):
            applied += _with_traffic(pipeline, _scaled(pipeline, record, live), traffic)
    for route in routes:
        applied += render(pipeline, route)
    return _Wanted(applied, kept | {Ref.of(m) for m in applied})


def _with_traffic(
    pipeline: EventPipeline,
    record: MigrationRecord | WorkloadRecord,
    traffic: Mapping[str, TrafficRecord],
) -> list[Json]:
    """What lets its connections through comes before it."""
    allowed = traffic.get(record.name)
    policies = render(pipeline, allowed) if allowed else []
    return [*policies, *render(pipeline, record)]


def _is_done(pipeline: EventPipeline, migration: MigrationRecord, live: Mapping[Ref, Json]) -> bool:
    """A migration that has succeeded is not begun again, whatever else changes."""
    job = live.get(Ref(JOB.name, pipeline.key.namespace, job_name(pipeline, migration)))
    return job is not None and summarise(job, JOB.name).succeeded


def _scaled(
    pipeline: EventPipeline, record: WorkloadRecord, live: Mapping[Ref, Json]
) -> WorkloadRecord:
    """What runs is what the lag has decided, within the bounds."""
    name = names.object_name(pipeline.key, record.name)
    deployment = live.get(Ref(DEPLOYMENT.name, pipeline.key.namespace, name))
    if record.scaling is None or deployment is None:
        return record
    scale, running = record.scaling.scale, deployment["spec"].get("replicas", 1)
    return replace(record, replicas=min(max(running, scale.min), scale.max))


def _is_ours(pipeline: EventPipeline, child: Json) -> bool:
    facts = summarise(child, child["kind"])
    orphan = facts.owner_uid is None and facts.pipeline == pipeline.key
    return facts.owner_uid == pipeline.uid or orphan


def _secret_changes(pipeline: EventPipeline, references: Delivered) -> Iterator[Change]:
    """Secrets are not read: that there is a new one, and which one goes, status tells."""
    status = {s["name"]: s.get("secretName", "") for s in pipeline.status.get("secrets") or ()}
    status |= known_logins(pipeline)
    prefix = f"{pipeline.key.name}-"
    for entry, reference in references.items():
        name = f"{prefix}{entry}-{reference.revision}"
        if status.get(entry) != name:
            action = Action.REPLACE if entry in status else Action.CREATE
            yield Change(System.KUBERNETES, action, f"Secret {status.get(entry, name)}")
    for entry, name in status.items():
        if entry not in references:
            yield Change(System.KUBERNETES, Action.DELETE, f"Secret {name}")


def _compare(manifest: Json, live: Json | None, predecessor: Json | None) -> Iterator[Change]:
    subject = str(Ref.of(manifest))
    if live is None and predecessor is not None:
        differences = compare(predecessor.get("data"), manifest.get("data"), "data")
        yield Change(System.KUBERNETES, Action.REPLACE, str(Ref.of(predecessor)), differences)
    elif live is None:
        yield Change(System.KUBERNETES, Action.CREATE, subject)
    elif digest_owned(live) != digest_wanted(manifest):
        differences = compare(extract_owned(live), _without_identity(manifest))
        action = Action.REPLACE if manifest["kind"] in REPLACED else Action.UPDATE
        if differences:
            yield Change(System.KUBERNETES, action, subject, differences)


def _without_identity(manifest: Json) -> Json:
    """What managedFields tells of: neither kind nor name."""
    body = {k: v for k, v in manifest.items() if k not in ("apiVersion", "kind")}
    meta = {k: v for k, v in manifest["metadata"].items() if k not in ("name", "namespace")}
    return {**body, "metadata": meta}


def _predecessor(manifest: Json, wanted: _Wanted, sight: Sight) -> Json | None:
    """The ConfigMap whose place a new one takes: the newest of the same workload."""
    if manifest["kind"] != CONFIG_MAP.name:
        return None
    workload = manifest["metadata"]["labels"].get(labels.WORKLOAD)
    same = [
        child
        for child in sight.children
        if child["kind"] == CONFIG_MAP.name
        and child["metadata"].get("labels", {}).get(labels.WORKLOAD) == workload
        and Ref.of(child) not in wanted.kept
    ]
    return max(same, key=lambda c: c["metadata"].get("creationTimestamp", ""), default=None)


def _pruned(
    pipeline: EventPipeline, wanted: _Wanted, sight: Sight, changes: Iterable[Change]
) -> Iterator[Change]:
    """What no record names any more, unless something that stays as it is uses it."""
    told = {change.subject for change in changes}
    used = set(_used(sight, told))
    for child in sight.children:
        ref, facts = Ref.of(child), summarise(child, child["kind"])
        if ref in wanted.kept or ref.kind not in PRUNED or ref.kind == SECRET.name:
            continue
        if facts.owner_uid != pipeline.uid or facts.deleting or str(ref) in told:
            continue
        if ref.kind == CONFIG_MAP.name and ref.name in used:
            continue
        yield Change(System.KUBERNETES, Action.DELETE, str(ref))


def _used(sight: Sight, changed: set[str]) -> Iterator[str]:
    """What live pods and templates refer to, without those that this plan replaces."""
    for child in sight.children:
        facts = summarise(child, child["kind"])
        workload = facts.workload or ""
        deployment = f"{DEPLOYMENT.name} {facts.pipeline.name if facts.pipeline else ''}-{workload}"
        if str(facts.ref) not in changed and deployment not in changed:
            yield from facts.uses
