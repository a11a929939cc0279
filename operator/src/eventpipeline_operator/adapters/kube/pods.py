"""Workload record → pod template (restricted Pod Security). Pure."""

from collections.abc import Mapping
from typing import Any

from eventpipeline_operator.adapters.kube.overlay import overlay
from eventpipeline_operator.adapters.kube.resources import Json
from eventpipeline_operator.api import labels, names
from eventpipeline_operator.api.types import Key, Probes, ProbeType
from eventpipeline_operator.desired.records import SecretReference, WorkloadRecord

CONTAINER = "main"
SECRETS_ROOT = "/var/run/secrets/eventpipeline"
KAFKA_CA = "/var/run/secrets/eventpipeline-kafka"
CA_KEY, USERNAME_KEY, PASSWORD_KEY = "ca.crt", "username", "password"
REQUESTS = {"cpu": "25m", "memory": "96Mi"}
PRE_STOP_SECONDS = 5


def build_pod_template(key: Key, record: WorkloadRecord, config_map: str) -> Json:
    """The template of a workload's pods, the user's overlay merged last."""
    placement = record.placement
    spec: Json = {
        "serviceAccountName": placement.service_account_name or names.object_name(key, record.name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": record.drain_seconds
        + (PRE_STOP_SECONDS if record.port else 0),
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(key, record, config_map)],
        "volumes": _volumes(key, record),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels.selector_labels(key, record.name)},
            }
        ],
    }
    if placement.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in placement.image_pull_secrets]
    if placement.node_selector:
        spec["nodeSelector"] = dict(placement.node_selector)
    if placement.tolerations:
        spec["tolerations"] = [dict(t) for t in placement.tolerations]
    if placement.affinity:
        spec["affinity"] = dict(placement.affinity)
    template = {"metadata": {"labels": pod_labels(key, record)}, "spec": spec}
    return overlay(template, placement.pod_template)


def pod_labels(key: Key, record: WorkloadRecord) -> dict[str, str]:
    """Labels of pods and of the objects that stand for the workload."""
    return {
        **labels.common_labels(key),
        **labels.selector_labels(key, record.name),
        labels.NAME: record.service,
        labels.COMPONENT: record.worker or names.API_WORKER,
    }


def secret_name(key: Key, reference: SecretReference) -> str:
    """Name of a delivered Secret: a new value is a new object."""
    return names.object_name(key, reference.entry, reference.revision)


def _container(key: Key, record: WorkloadRecord, config_map: str) -> Json:
    container: Json = {
        "name": CONTAINER,
        "image": record.image,
        "imagePullPolicy": "IfNotPresent",
        "env": _env(key, record),
        "envFrom": [{"configMapRef": {"name": config_map}}],
        "resources": _resources(record.placement.resources),
        "volumeMounts": _mounts(record),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if record.command:
        container["command"] = list(record.command)
    if record.args:
        container["args"] = list(record.args)
    if record.port:
        container["ports"] = [{"name": "http", "containerPort": record.port, "protocol": "TCP"}]
        # Endpoints learn of a terminating pod a little later than the pod itself.
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": PRE_STOP_SECONDS}}}
    elif record.metrics_port:
        container["ports"] = [
            {"name": "metrics", "containerPort": record.metrics_port, "protocol": "TCP"}
        ]
    container.update(_probes(record.probes, record.port or record.metrics_port))
    return container


def _env(key: Key, record: WorkloadRecord) -> list[Json]:
    field = {"apiVersion": "v1", "fieldPath": "metadata.name"}
    env: list[Json] = [{"name": "POD_NAME", "valueFrom": {"fieldRef": field}}]
    for reference in record.secrets:
        name = secret_name(key, reference)
        env += [
            {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": variable}}}
            for variable in reference.env
        ]
    return env + _kafka_env(record)


def _kafka_env(record: WorkloadRecord) -> list[Json]:
    """Credentials by reference: the operator writes no copy of them."""
    client, env = record.kafka_client, []
    if client and client.sasl_secret:
        for variable, key in (("USERNAME", USERNAME_KEY), ("PASSWORD", PASSWORD_KEY)):
            source = {"secretKeyRef": {"name": client.sasl_secret, "key": key}}
            env.append({"name": f"KAFKA_SASL_{variable}", "valueFrom": source})
    if client and client.ca_secret:
        env.append({"name": "KAFKA_SSL_CA_LOCATION", "value": f"{KAFKA_CA}/{CA_KEY}"})
    return env


def _resources(given: Mapping[str, Any]) -> Json:
    if not given:
        return {"requests": dict(REQUESTS)}
    return {
        part: {name: str(quantity) for name, quantity in given[part].items()}
        for part in ("requests", "limits")
        if given.get(part)
    }


def _volumes(key: Key, record: WorkloadRecord) -> list[Json]:
    volumes: list[Json] = [{"name": "tmp", "emptyDir": {}}]
    for reference in record.secrets:
        if reference.files:
            items = [{"key": file, "path": file} for file in reference.files]
            secret = {"secretName": secret_name(key, reference), "items": items}
            volumes.append({"name": f"secret-{reference.entry}", "secret": secret})
    if record.kafka_client and record.kafka_client.ca_secret:
        items = [{"key": CA_KEY, "path": CA_KEY}]
        secret = {"secretName": record.kafka_client.ca_secret, "items": items}
        volumes.append({"name": "kafka-ca", "secret": secret})
    volumes.extend({"name": volume.name, **volume.source} for volume in record.placement.volumes)
    return volumes


def _mounts(record: WorkloadRecord) -> list[Json]:
    mounts: list[Json] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108 - a path in the pod
    for reference in record.secrets:
        if reference.files:
            path = f"{SECRETS_ROOT}/{reference.entry}"
            mounts.append(
                {"name": f"secret-{reference.entry}", "mountPath": path, "readOnly": True}
            )
    if record.kafka_client and record.kafka_client.ca_secret:
        mounts.append({"name": "kafka-ca", "mountPath": KAFKA_CA, "readOnly": True})
    for volume in record.placement.volumes:
        mount: Json = {"name": volume.name, "mountPath": volume.mount_path}
        mounts.append({**mount, "readOnly": True} if volume.read_only else mount)
    return mounts


def _probes(probes: Probes, default_port: int | None) -> Json:
    port = probes.port or default_port
    if probes.type is ProbeType.NONE or (port is None and probes.type is not ProbeType.EXEC):
        return {}
    live = _probe_action(probes, port, probes.liveness_path)
    ready = _probe_action(probes, port, probes.readiness_path)
    return {
        # Asked every second while starting, so that a quick start is seen at once.
        "startupProbe": {**live, "periodSeconds": 1, "failureThreshold": probes.startup_seconds,
                         "timeoutSeconds": 2},
        "livenessProbe": {**live, "periodSeconds": 10, "failureThreshold": 3, "timeoutSeconds": 5},
        "readinessProbe": {**ready, "periodSeconds": 3, "failureThreshold": 3, "timeoutSeconds": 3},
    }  # fmt: skip


def _probe_action(probes: Probes, port: int | None, path: str) -> Json:
    if probes.type is ProbeType.EXEC:
        return {"exec": {"command": list(probes.command)}}
    if probes.type is ProbeType.TCP:
        return {"tcpSocket": {"port": port}}
    return {"httpGet": {"path": path, "port": port}}
