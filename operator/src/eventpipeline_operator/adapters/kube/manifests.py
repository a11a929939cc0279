"""Records → manifests, in the order in which they are to be applied. Pure."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import singledispatch

from eventpipeline_operator.adapters.kube.network import build_policy
from eventpipeline_operator.adapters.kube.pods import (
    build_pod_template,
    pod_labels,
    secret_name,
)
from eventpipeline_operator.adapters.kube.resources import (
    BUDGET,
    CONFIG_MAP,
    DEPLOYMENT,
    INGRESS,
    JOB,
    MIDDLEWARE,
    NETWORK_POLICY,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Json,
    Kind,
)
from eventpipeline_operator.adapters.kube.traefik import annotate, build_middlewares
from eventpipeline_operator.api import labels, names
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.desired.records import (
    MigrationRecord,
    RouteRecord,
    SecretRecord,
    SecretReference,
    TrafficRecord,
    WorkloadRecord,
)
from eventpipeline_operator.reconcile.ports import Record

BACKOFF_LIMIT = 6


def render(pipeline: EventPipeline, record: Record) -> list[Json]:
    """All objects of one record; configuration before what uses it."""
    return _render(record, pipeline)


@singledispatch
def _render(record: object, pipeline: EventPipeline) -> list[Json]:
    raise TypeError(record, pipeline)


@_render.register
def _(record: SecretRecord, pipeline: EventPipeline) -> list[Json]:
    manifest = _object(SECRET, pipeline, secret_name(pipeline.key, record.reference))
    manifest["metadata"]["labels"][labels.SECRET] = record.entry
    manifest["metadata"]["annotations"] = {
        labels.SOURCE_ANNOTATION: record.source,
        labels.VERSION_ANNOTATION: record.version,
    }
    values = {**record.env, **record.files}
    manifest["data"] = {k: base64.b64encode(v.encode()).decode() for k, v in values.items()}
    return [{**manifest, "type": "Opaque", "immutable": True}]


@_render.register
def _(record: SecretReference, pipeline: EventPipeline) -> list[Json]:
    """Only the identity: enough to keep a delivered Secret from pruning."""
    return [_object(SECRET, pipeline, secret_name(pipeline.key, record))]


@_render.register
def _(record: WorkloadRecord, pipeline: EventPipeline) -> list[Json]:
    manifests = _foundation(pipeline, record)
    config_map = manifests[0]["metadata"]["name"]
    manifests.append(_deployment(pipeline, record, config_map))
    if record.port:
        manifests.append(_service(pipeline, record, record.port))
    most = record.scaling.scale.max if record.scaling else record.replicas
    if most is None or most > 1:
        budget = _object(BUDGET, pipeline, names.object_name(pipeline.key, record.name), record)
        budget["spec"] = {"maxUnavailable": 1, "selector": _selector(pipeline, record)}
        manifests.append(budget)
    return manifests


@_render.register
def _(record: MigrationRecord, pipeline: EventPipeline) -> list[Json]:
    workload = record.workload
    manifests = _foundation(pipeline, workload)
    template = build_pod_template(pipeline.key, workload, manifests[0]["metadata"]["name"])
    template["spec"]["restartPolicy"] = "Never"
    del template["spec"]["topologySpreadConstraints"]
    job = _object(JOB, pipeline, job_name(pipeline, record), workload)
    job["spec"] = {
        "backoffLimit": BACKOFF_LIMIT,
        "activeDeadlineSeconds": record.timeout_seconds,
        "template": template,
    }
    return [*manifests, job]


@_render.register
def _(record: TrafficRecord, pipeline: EventPipeline) -> list[Json]:
    name = names.object_name(pipeline.key, record.workload)
    policy = _object(NETWORK_POLICY, pipeline, name)
    return [{**policy, "spec": build_policy(pipeline.key, record)}]


@_render.register
def _(record: RouteRecord, pipeline: EventPipeline) -> list[Json]:
    ingress = _object(INGRESS, pipeline, pipeline.key.name)
    middlewares = [
        {**_object(MIDDLEWARE, pipeline, names.object_name(pipeline.key, name)), "spec": spec}
        for name, spec in build_middlewares(record).items()
    ]
    chain = [m["metadata"]["name"] for m in middlewares]
    annotations = annotate(record.annotations, pipeline.key.namespace, chain)
    if annotations:
        ingress["metadata"]["annotations"] = annotations
    paths = [
        {
            "path": path,
            "pathType": "Prefix",
            "backend": {
                "service": {
                    "name": names.object_name(pipeline.key, service),
                    "port": {"number": port},
                }
            },
        }
        for path, service, port in record.paths
    ]
    ingress["spec"] = {"rules": [{"host": record.host, "http": {"paths": paths}}]}
    if record.class_name:
        ingress["spec"]["ingressClassName"] = record.class_name
    if record.tls_secret:
        ingress["spec"]["tls"] = [{"hosts": [record.host], "secretName": record.tls_secret}]
    return [*middlewares, ingress]


def job_name(pipeline: EventPipeline, record: MigrationRecord) -> str:
    """Name of the Job of a migration: a new image is a new Job."""
    return names.object_name(pipeline.key, record.name, record.revision)


def _foundation(pipeline: EventPipeline, record: WorkloadRecord) -> list[Json]:
    """ConfigMap and ServiceAccount, which must be there before the first pod."""
    name = names.object_name(pipeline.key, record.name)
    config_map = _object(CONFIG_MAP, pipeline, f"{name}-{_revision(record.env)}", record)
    config_map.update(data=dict(record.env), immutable=True)
    manifests = [config_map]
    if record.placement.service_account_name is None:
        account = _object(SERVICE_ACCOUNT, pipeline, name, record)
        manifests.append({**account, "automountServiceAccountToken": False})
    return manifests


def _deployment(pipeline: EventPipeline, record: WorkloadRecord, config_map: str) -> Json:
    name = names.object_name(pipeline.key, record.name)
    deployment = _object(DEPLOYMENT, pipeline, name, record)
    deployment["spec"] = {
        "revisionHistoryLimit": 2,
        "selector": _selector(pipeline, record),
        "template": build_pod_template(pipeline.key, record, config_map),
    }
    if record.port:
        deployment["spec"]["strategy"] = {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        }
    if record.replicas is not None:
        deployment["spec"]["replicas"] = record.replicas
    return deployment


def _service(pipeline: EventPipeline, record: WorkloadRecord, port: int) -> Json:
    service = _object(SERVICE, pipeline, names.object_name(pipeline.key, record.name), record)
    service["spec"] = {
        "selector": labels.selector_labels(pipeline.key, record.name),
        "ports": [{"name": "http", "port": port, "protocol": "TCP", "targetPort": "http"}],
    }
    return service


def _selector(pipeline: EventPipeline, record: WorkloadRecord) -> Json:
    return {"matchLabels": labels.selector_labels(pipeline.key, record.name)}


def _object(
    kind: Kind, pipeline: EventPipeline, name: str, record: WorkloadRecord | None = None
) -> Json:
    key = pipeline.key
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {
            "name": name,
            "namespace": key.namespace,
            "labels": pod_labels(key, record) if record else labels.common_labels(key),
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": names.KIND,
                    "name": key.name,
                    "uid": pipeline.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
    }


def _revision(data: Mapping[str, str]) -> str:
    text = json.dumps(dict(data), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
