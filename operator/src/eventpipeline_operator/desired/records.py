"""Runtime-neutral records: what desired/ produces and a runtime makes true.

Nothing here knows Kubernetes: another runtime (local processes) renders the same records.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from eventpipeline_operator.api.observed import Acl
from eventpipeline_operator.api.types import (
    Endpoint,
    KafkaAccess,
    KafkaClient,
    Peer,
    Placement,
    Probes,
    RateLimit,
    Scale,
)


@dataclass(frozen=True)
class TopicRecord:
    """A Kafka topic that should be."""

    entry: str
    name: str
    partitions: int = 1
    replication_factor: int | None = None
    config: Mapping[str, str] = field(default_factory=dict)
    external: bool = False
    dead_letters_of: str | None = None


@dataclass(frozen=True)
class KafkaUserRecord:
    """A Kafka user that should be, and all that it may do."""

    name: str
    acls: frozenset[Acl] = frozenset()


@dataclass(frozen=True)
class SecretRecord:
    """Delivered secret values; revision changes exactly when a value does."""

    entry: str
    revision: str
    source: str
    version: str
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def reference(self) -> "SecretReference":
        """The same without values."""
        return SecretReference(
            self.entry,
            self.revision,
            self.version,
            tuple(sorted(self.env)),
            tuple(sorted(self.files)),
        )


@dataclass(frozen=True)
class SecretReference:
    """How a workload names a delivered secret."""

    entry: str
    revision: str
    version: str
    env: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScalingRecord:
    """By whose lag a worker is scaled, and within which bounds."""

    scale: Scale
    access: KafkaAccess
    group: str
    topics: tuple[str, ...]
    partitions: int | None = None


@dataclass(frozen=True)
class WorkloadRecord:
    """A set of equal processes: a service's API or one of its workers."""

    name: str
    service: str
    worker: str | None
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[SecretReference, ...] = ()
    kafka_client: KafkaClient | None = None
    port: int | None = None
    metrics_port: int | None = None
    replicas: int | None = None
    scaling: ScalingRecord | None = None
    drain_seconds: int = 30
    probes: Probes = field(default_factory=Probes)
    placement: Placement = field(default_factory=Placement)


@dataclass(frozen=True)
class MigrationRecord:
    """A job that must succeed before the image of its service serves."""

    name: str
    service: str
    revision: str
    workload: WorkloadRecord
    timeout_seconds: int = 600


@dataclass(frozen=True)
class TrafficRecord:
    """Who may connect to a workload's port, and where it may connect to: nothing else."""

    workload: str
    port: int | None = None
    callers: tuple[str, ...] = ()
    admitted: tuple[Peer, ...] = ()
    calls: tuple[tuple[str, int], ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    dns: tuple[Peer, ...] = ()


@dataclass(frozen=True)
class RouteRecord:
    """How requests from outside reach services: one host, paths to services."""

    host: str
    paths: tuple[tuple[str, str, int], ...]
    class_name: str | None = None
    tls_secret: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    rate_limit: RateLimit | None = None
    retries: int = 0

    @property
    def url(self) -> str:
        """Where a client begins."""
        return f"{'https' if self.tls_secret else 'http'}://{self.host}"
