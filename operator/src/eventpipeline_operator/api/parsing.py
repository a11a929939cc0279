"""Object body → frozen EventPipeline.

The API server has checked the schema and filled in defaults; what it cannot express is checked in
validation.py. A body that slipped past both ends as Stalled, never as a traceback.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eventpipeline_operator.api.endpoints import parse_endpoint
from eventpipeline_operator.api.labels import APPROVAL_ANNOTATION
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import (
    Container,
    DeletionPolicy,
    Dynamic,
    EventPipeline,
    Ingress,
    KafkaClient,
    Key,
    Kv,
    Migration,
    NetworkPolicy,
    Peer,
    Placement,
    Probes,
    ProbeType,
    RateLimit,
    SaslMechanism,
    Scale,
    Secret,
    Service,
    Topic,
    Tracing,
    Vault,
    Volume,
    Worker,
)
from eventpipeline_operator.errors import Stalled

Json = Mapping[str, Any]

CLUSTER_DNS: Json = {"namespace": "kube-system", "podLabels": {"k8s-app": "kube-dns"}}


def parse(body: Json) -> EventPipeline:
    """Parse an object; Stalled when its shape is not that of the schema."""
    try:
        return _pipeline(body)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Stalled(
            Reason.INVALID_SPEC, f"spec does not have the shape of the schema: {error!r}"
        ) from error


def identify(body: Json) -> EventPipeline:
    """Only the identity: enough to say on an object that its spec is not understood."""
    meta = body["metadata"]
    approved = (meta.get("annotations") or {}).get(APPROVAL_ANNOTATION, "")
    return EventPipeline(
        key=Key(meta["namespace"], meta["name"]),
        uid=meta["uid"],
        generation=int(meta["generation"]),
        created=meta.get("creationTimestamp", ""),
        deleting="deletionTimestamp" in meta,
        deletion_policy=_deletion_policy(body.get("spec")),
        finalizers=_tuple(meta.get("finalizers")),
        approved_deletions=tuple(part.strip() for part in approved.split(",") if part.strip()),
        status=body.get("status") or {},
    )


def _deletion_policy(spec: object) -> DeletionPolicy:
    """Whatever is not plainly Delete is Retain: it harms nothing."""
    deletes = isinstance(spec, Mapping) and spec.get("deletionPolicy") == DeletionPolicy.DELETE
    return DeletionPolicy.DELETE if deletes else DeletionPolicy.RETAIN


def _pipeline(body: Json) -> EventPipeline:
    spec = body["spec"]
    return replace(
        identify(body),
        bootstrap_servers=spec["kafka"]["bootstrapServers"],
        kafka_client=parse_client(spec["kafka"].get("client") or {}),
        kafka_users=is_asked_for(spec["kafka"].get("users")),
        suspend=bool(spec.get("suspend", False)),
        vault=_vault(spec["vault"]) if spec.get("vault") else None,
        tracing=_tracing(spec["tracing"]) if spec.get("tracing") else None,
        ingress=_ingress(spec["ingress"]) if spec.get("ingress") else None,
        network_policy=_network_policy(spec["networkPolicy"])
        if spec.get("networkPolicy") is not None
        else None,
        config=_strings(spec.get("config")),
        topics=tuple(_topic(t) for t in spec.get("topics") or ()),
        secrets=tuple(_secret(s) for s in spec.get("secrets") or ()),
        services=tuple(_service(s) for s in spec.get("services") or ()),
    )


def is_asked_for(raw: Json | None) -> bool:
    """A part that is there, unless it says `enabled: false`."""
    return raw is not None and bool(raw.get("enabled", True))


def parse_client(raw: Json) -> KafkaClient | None:
    """spec.kafka.client, or the same shape in the installer's values; None where it is empty."""
    sasl = raw.get("sasl") or {}
    if not sasl and raw.get("tls") is None:
        return None
    return KafkaClient(
        tls=raw.get("tls") is not None,
        ca_secret=(raw.get("tls") or {}).get("caSecret"),
        mechanism=SaslMechanism(sasl["mechanism"]) if sasl else None,
        sasl_secret=sasl["secret"] if sasl else None,
    )


def _vault(raw: Json) -> Vault:
    method, auth = _one_of("spec.vault.auth", raw["auth"], ("kubernetes", "jwt"))
    return Vault(
        address=raw["address"].rstrip("/"),
        role=auth["role"],
        service_account=auth["serviceAccount"],
        mount=auth.get("mount", method).strip("/"),
        method=method,
        audiences=_tuple(auth.get("audiences")) or ("vault",),
        namespace=raw.get("namespace"),
        ca_secret=raw.get("caSecret"),
    )


def _tracing(raw: Json) -> Tracing:
    return Tracing(
        endpoint=raw["endpoint"],
        exporter=raw.get("exporter", "zipkin"),
        sample_ratio=float(raw.get("sampleRatio", 1.0)),
    )


def _ingress(raw: Json) -> Ingress:
    return Ingress(
        host=raw["host"],
        class_name=raw.get("className"),
        tls_secret=(raw.get("tls") or {}).get("secretName"),
        annotations=_strings(raw.get("annotations")),
        rate_limit=_rate_limit(raw["rateLimit"]) if raw.get("rateLimit") else None,
        retries=int(raw.get("retries", 0)),
    )


def _rate_limit(raw: Json) -> RateLimit:
    rate = int(raw["requestsPerSecond"])
    return RateLimit(rate, int(raw.get("burst", rate)))


def _network_policy(raw: Json) -> NetworkPolicy:
    dns = [CLUSTER_DNS] if raw.get("dns") is None else raw["dns"]
    return NetworkPolicy(
        enabled=bool(raw.get("enabled", True)),
        ingress_from=tuple(_peer(p) for p in raw.get("ingressFrom") or ()),
        metrics_from=tuple(_peer(p) for p in raw.get("metricsFrom") or ()),
        dns=tuple(_peer(p) for p in dns),
        egress=tuple(parse_endpoint(e) for e in raw.get("egress") or ()),
    )


def _peer(raw: Json) -> Peer:
    return Peer(raw.get("namespace"), _strings(raw.get("podLabels")), raw.get("cidr"))


def _topic(raw: Json) -> Topic:
    return Topic(
        name=raw["name"],
        topic_name=raw.get("topicName"),
        external=(raw.get("external") or {}).get("topicName"),
        partitions=int(raw.get("partitions", 1)),
        replication_factor=raw.get("replicationFactor"),
        config={k: _config_value(v) for k, v in (raw.get("config") or {}).items()},
        shared_with=_tuple(raw.get("sharedWith")),
    )


def _config_value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _secret(raw: Json) -> Secret:
    kind, source = _one_of(f"spec.secrets[{raw['name']}].vault", raw["vault"], ("kv", "dynamic"))
    path = source["path"].strip("/")
    return Secret(
        name=raw["name"],
        vault=Dynamic(path)
        if kind == "dynamic"
        else Kv(source.get("mount", "kv").strip("/"), path, source.get("version")),
        env=_strings(raw.get("env")),
        files=_strings(raw.get("files")),
    )


def _service(raw: Json) -> Service:
    paths = ([raw["path"]] if raw.get("path") else []) + list(raw.get("paths") or ())
    return Service(
        name=raw["name"],
        image=raw["image"],
        container=_container(raw),
        port=raw.get("port"),
        paths=tuple(dict.fromkeys(paths)),
        migrate=_migration(raw["migrate"]) if raw.get("migrate") is not None else None,
        workers=tuple(_worker(w) for w in raw.get("workers") or ()),
    )


def _worker(raw: Json) -> Worker:
    scale = raw.get("scale")
    return Worker(
        name=raw["name"],
        container=_container(raw),
        image=raw.get("image"),
        scale=Scale(
            max=scale["max"], min=scale.get("min", 1), drain_seconds=scale.get("drainSeconds", 30)
        )
        if scale
        else None,
    )


def _migration(raw: Json) -> Migration:
    return Migration(
        image=raw.get("image"),
        command=_tuple(raw.get("command")),
        args=_tuple(raw.get("args")),
        secrets=_tuple(raw["secrets"]) if "secrets" in raw else None,
        timeout_seconds=int(raw.get("timeoutSeconds", 600)),
    )


def _container(raw: Json) -> Container:
    return Container(
        command=_tuple(raw.get("command")),
        args=_tuple(raw.get("args")),
        config=_strings(raw.get("config")),
        secrets=_tuple(raw.get("secrets")),
        produces=_tuple(raw.get("produces")),
        consumes=_tuple(raw.get("consumes")),
        calls=_tuple(raw.get("calls")),
        egress=tuple(parse_endpoint(e) for e in raw.get("egress") or ()),
        consumer_group=raw.get("consumerGroup"),
        replicas=raw.get("replicas"),
        probes=_probes(raw.get("probes") or {}),
        placement=_placement(raw),
    )


def _probes(raw: Json) -> Probes:
    return Probes(
        type=ProbeType(raw.get("type", "http")),
        liveness_path=raw.get("livenessPath", "/livez"),
        readiness_path=raw.get("readinessPath", "/readyz"),
        port=raw.get("port"),
        command=_tuple(raw.get("command")),
        startup_seconds=int(raw.get("startupSeconds", 120)),
    )


def _placement(raw: Json) -> Placement:
    return Placement(
        service_account_name=raw.get("serviceAccountName"),
        image_pull_secrets=_tuple(raw.get("imagePullSecrets")),
        node_selector=_strings(raw.get("nodeSelector")),
        tolerations=tuple(raw.get("tolerations") or ()),
        affinity=raw.get("affinity") or {},
        resources=raw.get("resources") or {},
        volumes=tuple(
            Volume(v["name"], v["mountPath"], v["source"], bool(v.get("readOnly", False)))
            for v in raw.get("volumes") or ()
        ),
        pod_template=raw.get("podTemplate") or {},
    )


def _one_of(path: str, raw: Json, kinds: tuple[str, str]) -> tuple[str, Json]:
    present = [kind for kind in kinds if raw.get(kind) is not None]
    if len(present) != 1:
        raise Stalled(
            Reason.INVALID_SPEC, f"{path}: exactly one of {' and '.join(kinds)} must be there"
        )
    return present[0], raw[present[0]]


def _strings(raw: Json | None) -> dict[str, str]:
    return {str(k): str(v) for k, v in (raw or {}).items()}


def _tuple(raw: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(raw or ())
