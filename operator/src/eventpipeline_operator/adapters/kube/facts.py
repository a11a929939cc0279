"""Live objects → the few facts that are kept of each.

A cluster may hold thousands of children; what stays in memory is a digest of what we own
(ownership.py) and what readiness and pruning ask for. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from eventpipeline_operator.adapters.kube.ownership import digest_owned
from eventpipeline_operator.adapters.kube.resources import Ref
from eventpipeline_operator.api import labels
from eventpipeline_operator.api.observed import Fate, Problem
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Key

Live = Mapping[str, Any]

PULL_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
     "ImageInspectError", "RegistryUnavailable"}
)  # fmt: skip
CONFIG_REASONS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far a Deployment is."""

    current: bool
    wanted: int
    updated: int
    available: int
    total: int


@dataclass(frozen=True, slots=True)
class Child:
    """What is kept of one live object."""

    ref: Ref
    uid: str
    version: str
    owned: bytes
    pipeline: Key | None
    owner_uid: str | None
    owner: str | None
    workload: str | None = None
    deleting: bool = False
    created: str = ""
    uses: frozenset[str] = frozenset()
    rollout: Rollout | None = None
    succeeded: bool = False
    failed: bool = False
    problem: Problem | None = None
    secret: tuple[str, str, str] | None = None

    @property
    def essence(self) -> tuple[Any, ...]:
        """Everything whose change is worth a look at the owner."""
        return (
            self.uid, self.owned, self.owner_uid, self.deleting, self.rollout, self.succeeded,
            self.failed, self.problem, self.uses,
        )  # fmt: skip


def summarise(live: Live, kind: str) -> Child:
    """Reduce a live object; `kind` because items of a list do not carry it."""
    meta = live["metadata"]
    marks = meta.get("labels") or {}
    owner = next((o for o in meta.get("ownerReferences") or () if o.get("controller")), None)
    ref = Ref(kind, meta["namespace"], meta["name"])
    return Child(
        ref=ref,
        uid=meta["uid"],
        version=meta["resourceVersion"],
        owned=b"" if kind == "Pod" else digest_owned(live),
        pipeline=_pipeline(ref.namespace, marks),
        owner_uid=owner["uid"] if owner else None,
        owner=f"{owner['kind']} {owner['name']}" if owner else None,
        workload=marks.get(labels.WORKLOAD),
        deleting="deletionTimestamp" in meta,
        created=meta.get("creationTimestamp", ""),
        **_SUMMARIES.get(kind, lambda _: {})(live),
    )


def _pipeline(namespace: str, marks: Mapping[str, str]) -> Key | None:
    name = marks.get(labels.PIPELINE)
    return Key(namespace, name) if name else None


def _deployment(live: Live) -> dict[str, Any]:
    status, spec = live.get("status") or {}, live["spec"]
    rollout = Rollout(
        current=status.get("observedGeneration", 0) >= live["metadata"]["generation"],
        wanted=spec.get("replicas", 1),
        updated=status.get("updatedReplicas", 0),
        available=status.get("availableReplicas", 0),
        total=status.get("replicas", 0),
    )
    return {
        "rollout": rollout,
        "uses": used_names(spec["template"]["spec"]),
        "problem": _deployment_problem(live["metadata"]["name"], status),
    }


def _deployment_problem(name: str, status: Live) -> Problem | None:
    for condition in status.get("conditions") or ():
        kind, value = condition["type"], condition["status"]
        if kind == "ReplicaFailure" and value == "True":
            return Problem(
                Reason.PODS_REFUSED,
                f"Deployment {name}: pods are refused: {condition.get('message', '')}: correct the "
                "service (resources, podTemplate), or change the quota or policy that says so",
                Fate.STALL,
            )
        if kind == "Progressing" and value == "False":
            return Problem(
                Reason.ROLLOUT_STUCK,
                f"Deployment {name}: {condition.get('message', 'no progress')}; see "
                f"kubectl describe deployment {name}",
            )
    return None


def _job(live: Live) -> dict[str, Any]:
    conditions = {
        c["type"]: c for c in (live.get("status") or {}).get("conditions") or ()
        if c["status"] == "True"
    }  # fmt: skip
    name, failed = live["metadata"]["name"], conditions.get("Failed")
    problem = None
    if failed:
        problem = Problem(
            Reason.MIGRATION_FAILED,
            f"Job {name} failed ({failed.get('reason', '')}: {failed.get('message', '')}): read "
            f"kubectl logs job/{name}, correct the cause, then delete the Job to run it again",
            Fate.STALL,
        )
    finished = bool(failed) or "Complete" in conditions
    return {
        "succeeded": "Complete" in conditions,
        "failed": failed is not None,
        "uses": frozenset() if finished else used_names(live["spec"]["template"]["spec"]),
        "problem": problem,
    }


def _secret(live: Live) -> dict[str, Any]:
    meta = live["metadata"]
    entry = (meta.get("labels") or {}).get(labels.SECRET)
    notes = meta.get("annotations") or {}
    if entry is None:
        return {}
    found = (
        entry,
        notes.get(labels.SOURCE_ANNOTATION, ""),
        notes.get(labels.VERSION_ANNOTATION, ""),
    )
    return {"secret": found}


def _pod(live: Live) -> dict[str, Any]:
    status = live.get("status") or {}
    finished = status.get("phase") in ("Succeeded", "Failed")
    return {
        "uses": frozenset() if finished else used_names(live["spec"]),
        "problem": None if finished else pod_problem(live["metadata"]["name"], status),
        "failed": status.get("phase") == "Failed",
    }


def pod_problem(name: str, status: Live) -> Problem | None:
    """What keeps a pod from running, with the way out."""
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return Problem(
                Reason.POD_UNSCHEDULABLE,
                f"pod {name} finds no node: {condition.get('message', '')}: lower its requests "
                "(resources, nodeSelector, affinity) or add nodes",
            )
    statuses = [
        *(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()),
    ]  # fmt: skip
    return next(filter(None, (_container_problem(name, s) for s in statuses)), None)


def _container_problem(pod: str, status: Live) -> Problem | None:
    state = status.get("state") or {}
    waiting = state.get("waiting") or {}
    reason, said = waiting.get("reason", ""), waiting.get("message", "")
    image = status.get("image", "")
    if reason in PULL_REASONS:
        return Problem(
            Reason.IMAGE_PULL_FAILED,
            f"pod {pod}: image {image} cannot be pulled ({reason}: {said}): check its name, "
            "imagePullSecrets, or whether it was loaded into the cluster",
        )
    if reason in CONFIG_REASONS:
        return Problem(
            Reason.CONTAINER_CONFIG_ERROR,
            f"pod {pod}: the container cannot start ({reason}: {said}): create what it misses, or "
            "correct the service's secrets, volumes or podTemplate",
        )
    last = state.get("terminated") or (status.get("lastState") or {}).get("terminated")
    crashed = reason == "CrashLoopBackOff" or (
        last and last.get("exitCode") and not status["ready"]
    )
    if crashed and last:
        return Problem(
            Reason.CONTAINER_CRASHING,
            f"pod {pod}: container {status['name']} ({image}) ends with exit code "
            f"{last.get('exitCode')} ({last.get('reason', '')}): read "
            f"kubectl logs {pod} --previous",
        )
    return None


def used_names(pod_spec: Live) -> frozenset[str]:
    """Names of the ConfigMaps and Secrets that a pod refers to."""
    return frozenset(_used(pod_spec))


def _used(pod_spec: Live) -> Iterable[str]:
    for container in (*pod_spec.get("containers", ()), *(pod_spec.get("initContainers") or ())):
        sources = list(container.get("envFrom") or ())
        sources += [variable.get("valueFrom") or {} for variable in container.get("env") or ()]
        for source in sources:
            for kind in ("configMapRef", "secretRef", "configMapKeyRef", "secretKeyRef"):
                if kind in source:
                    yield source[kind]["name"]
    for volume in pod_spec.get("volumes") or ():
        if "secret" in volume:
            yield volume["secret"]["secretName"]
        if "configMap" in volume:
            yield volume["configMap"]["name"]


_SUMMARIES = {"Deployment": _deployment, "Job": _job, "Secret": _secret, "Pod": _pod}
