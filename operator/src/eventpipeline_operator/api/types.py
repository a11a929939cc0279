"""Frozen types of the v1alpha1 spec: what parsing produces and everything after it reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple


class Key(NamedTuple):
    """Namespace and name: the identity of a pipeline in queue, caches and logs."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class ProbeType(StrEnum):
    """How the kubelet asks a container for its health."""

    HTTP = "http"
    TCP = "tcp"
    EXEC = "exec"
    NONE = "none"


class DeletionPolicy(StrEnum):
    """What becomes of the topics when their object goes."""

    RETAIN = "Retain"
    DELETE = "Delete"


class SaslMechanism(StrEnum):
    """How a Kafka client proves who it is."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


@dataclass(frozen=True)
class KafkaClient:
    """spec.kafka.client: how Kafka is spoken to; secrets by name, never by value."""

    tls: bool = False
    ca_secret: str | None = None
    mechanism: SaslMechanism | None = None
    sasl_secret: str | None = None

    @property
    def protocol(self) -> str:
        """Kafka's security.protocol."""
        return f"{'SASL_' if self.mechanism else ''}{'SSL' if self.tls else 'PLAINTEXT'}"


@dataclass(frozen=True)
class KafkaAccess:
    """A cluster, and from which namespace and as whom it is spoken to."""

    servers: str
    namespace: str = ""
    client: KafkaClient | None = None


@dataclass(frozen=True)
class Topic:
    """An entry of spec.topics."""

    name: str
    topic_name: str | None = None
    external: str | None = None
    partitions: int = 1
    replication_factor: int | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kv:
    """A kv v2 secret, its newest version or a pinned one."""

    mount: str
    path: str
    version: int | None = None


@dataclass(frozen=True)
class Dynamic:
    """Credentials that Vault makes on reading the path, and leases."""

    path: str


@dataclass(frozen=True)
class Secret:
    """An entry of spec.secrets: where its values come from and how they are delivered."""

    name: str
    vault: Kv | Dynamic
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Probes:
    """How a container is asked for its health."""

    type: ProbeType = ProbeType.HTTP
    liveness_path: str = "/livez"
    readiness_path: str = "/readyz"
    port: int | None = None
    command: tuple[str, ...] = ()
    startup_seconds: int = 120


@dataclass(frozen=True)
class Volume:
    """A volume and its mount; source is passed through to the runtime."""

    name: str
    mount_path: str
    source: Mapping[str, Any]
    read_only: bool = False


@dataclass(frozen=True)
class Placement:
    """What only a scheduler reads; passed through to the runtime."""

    service_account_name: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=dict)
    volumes: tuple[Volume, ...] = ()
    pod_template: Mapping[str, Any] = field(default_factory=dict)


class Endpoint(NamedTuple):
    """A host (or all addresses of a CIDR) and the port on which it listens."""

    host: str
    port: int


@dataclass(frozen=True)
class Peer:
    """Pods of a namespace, of all their labels where some are given, or addresses."""

    namespace: str | None = None
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    cidr: str | None = None


@dataclass(frozen=True)
class NetworkPolicy:
    """spec.networkPolicy: who may come from outside the graph, and where all may go."""

    enabled: bool = True
    ingress_from: tuple[Peer, ...] = ()
    metrics_from: tuple[Peer, ...] = ()
    dns: tuple[Peer, ...] = ()
    egress: tuple[Endpoint, ...] = ()


@dataclass(frozen=True)
class Container:
    """What services and workers have in common."""

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    config: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    egress: tuple[Endpoint, ...] = ()
    consumer_group: str | None = None
    replicas: int | None = None
    probes: Probes = field(default_factory=Probes)
    placement: Placement = field(default_factory=Placement)


@dataclass(frozen=True)
class Scale:
    """Bounds for scaling a worker by lag."""

    max: int
    min: int = 1
    drain_seconds: int = 30


@dataclass(frozen=True)
class Worker:
    """A background process of a service's image."""

    name: str
    container: Container
    image: str | None = None
    scale: Scale | None = None


@dataclass(frozen=True)
class Migration:
    """A job that must succeed before a new image serves."""

    image: str | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    secrets: tuple[str, ...] | None = None
    timeout_seconds: int = 600


@dataclass(frozen=True)
class Service:
    """An entry of spec.services."""

    name: str
    image: str
    container: Container
    port: int | None = None
    paths: tuple[str, ...] = ()
    migrate: Migration | None = None
    workers: tuple[Worker, ...] = ()


@dataclass(frozen=True)
class Vault:
    """Where Vault is and as whom the pipeline logs in."""

    address: str
    role: str
    service_account: str
    mount: str = "kubernetes"
    method: str = "kubernetes"
    audiences: tuple[str, ...] = ("vault",)
    namespace: str | None = None
    ca_secret: str | None = None


@dataclass(frozen=True)
class Tracing:
    """Where spans go."""

    endpoint: str
    exporter: str = "zipkin"
    sample_ratio: float = 1.0


@dataclass(frozen=True)
class RateLimit:
    """How many requests of one client address are let through."""

    requests_per_second: int
    burst: int


@dataclass(frozen=True)
class Ingress:
    """How the pipeline is reached from outside."""

    host: str
    class_name: str | None = None
    tls_secret: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    rate_limit: RateLimit | None = None
    retries: int = 0


@dataclass(frozen=True)
class EventPipeline:
    """One object, parsed and defaulted."""

    key: Key
    uid: str
    generation: int
    created: str = ""
    bootstrap_servers: str = ""
    kafka_client: KafkaClient | None = None
    kafka_users: bool = False
    suspend: bool = False
    deleting: bool = False
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN
    finalizers: tuple[str, ...] = ()
    approved_deletions: tuple[str, ...] = ()
    vault: Vault | None = None
    tracing: Tracing | None = None
    ingress: Ingress | None = None
    network_policy: NetworkPolicy | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    topics: tuple[Topic, ...] = ()
    secrets: tuple[Secret, ...] = ()
    services: tuple[Service, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kafka_access(self) -> KafkaAccess:
        """How the pipeline's Kafka is reached."""
        return KafkaAccess(self.bootstrap_servers, self.key.namespace, self.kafka_client)
