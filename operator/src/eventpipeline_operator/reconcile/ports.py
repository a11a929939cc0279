"""What the steps need from the world, as protocols; adapters/ fulfils them, tests fake them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from eventpipeline_operator.api.conditions import Condition
from eventpipeline_operator.api.observed import MigrationState, WorkloadState
from eventpipeline_operator.api.types import EventPipeline, Key, Vault
from eventpipeline_operator.desired.records import (
    MigrationRecord,
    RouteRecord,
    SecretRecord,
    SecretReference,
    TrafficRecord,
    WorkloadRecord,
)
from eventpipeline_operator.policies.deletion import Left, Obstacle
from eventpipeline_operator.policies.leases import Term
from eventpipeline_operator.reconcile.kafka_ports import Kafka, KafkaUsers, Lags, TopicRemoval

Record = (
    SecretRecord | SecretReference | WorkloadRecord | MigrationRecord | RouteRecord | TrafficRecord
)


@dataclass(frozen=True)
class KvValue:
    """One version of a kv secret."""

    values: Mapping[str, Any]
    version: str

    def __repr__(self) -> str:
        return f"KvValue(version={self.version})"


@dataclass(frozen=True)
class Issued:
    """Credentials that Vault has just made, and their lease."""

    values: Mapping[str, Any] = field(repr=False)
    lease: str = field(repr=False)
    term: Term
    session: str


@dataclass(frozen=True)
class Session:
    """A login that holds: leases carry its id, and end with it."""

    id: str
    term: Term


class VaultPort(Protocol):
    """Vault, always as the pipeline's own ServiceAccount.

    Retryable while Vault is away, Stalled when it refuses.
    """

    async def read_kv(
        self, namespace: str, vault: Vault, mount: str, path: str, version: int | None
    ) -> KvValue:
        """Read a kv v2 secret."""
        ...

    async def hold_session(self, namespace: str, vault: Vault) -> Session:
        """The session of a login, renewed or made anew when that is due."""
        ...

    async def issue(self, namespace: str, vault: Vault, path: str) -> Issued:
        """Have credentials made; Unanswered when they may have been."""
        ...

    async def renew(self, namespace: str, vault: Vault, lease: str, term: Term) -> Term | None:
        """Prolong a lease; None when Vault does not know it or will not."""
        ...

    async def revoke(self, namespace: str, vault: Vault, lease: str) -> None:
        """End a lease now; one that is gone is no failure."""
        ...

    async def abandon_session(self, namespace: str, vault: Vault, session: str) -> None:
        """Use a session no longer: the next one to hold is another."""
        ...

    async def abandoned_sessions(self) -> Collection[str]:
        """Sessions that are used no longer and have not ended."""
        ...

    async def end_session(self, session: str) -> None:
        """End an abandoned session now, and with it every lease that it has made."""
        ...


class Safe(Protocol):
    """Keeps confidential records of the operator's own over restarts."""

    async def load(self, key: str) -> dict[str, Any] | None:
        """One record."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """Keys of all records with a prefix."""
        ...

    async def store(self, key: str, record: Mapping[str, Any] | None) -> None:
        """Write one record, or remove it."""
        ...


Merge = Callable[[Mapping[str, Any] | None], dict[str, Any] | None]


class Archive(Protocol):
    """Keeps the journals of objects; nothing confidential is in them."""

    async def load(self) -> dict[str, dict[str, Any]]:
        """All journals by key."""
        ...

    async def update(self, changes: Mapping[str, Merge]) -> set[str]:
        """Join what is kept with what is new (None removes it); the keys that were written."""
        ...


class Runtime(Protocol):
    """Where workloads run."""

    async def apply(self, pipeline: EventPipeline, records: Sequence[Record]) -> None:
        """Make the records true; what is as wanted is not written."""
        ...

    async def prune(self, pipeline: EventPipeline, records: Sequence[Record]) -> None:
        """Remove what the pipeline owns and no record names, unless something still uses it."""
        ...

    def observe_workload(self, pipeline: EventPipeline, record: WorkloadRecord) -> WorkloadState:
        """How far a workload is."""
        ...

    def observe_migration(self, pipeline: EventPipeline, record: MigrationRecord) -> MigrationState:
        """How far a migration is."""
        ...

    def observe_secret(
        self, pipeline: EventPipeline, wanted: SecretReference, source: str
    ) -> SecretReference | None:
        """The last delivered secret of an entry from the same source: `wanted`, as it is there."""
        ...

    def holds_workloads(self, pipeline: EventPipeline) -> bool:
        """Whether anything of the pipeline is still running, or may be started."""
        ...

    def holds_secret(self, pipeline: EventPipeline, reference: SecretReference) -> bool:
        """Whether a delivered secret is there."""
        ...

    def holds_superseded(
        self, pipeline: EventPipeline, entry: str, reference: SecretReference | None
    ) -> bool:
        """Whether another delivered secret of an entry is still there: some pod may use it."""
        ...

    def secret_name(self, pipeline: EventPipeline, reference: SecretReference) -> str:
        """What the runtime calls a delivered secret."""
        ...


class Finalizers(Protocol):
    """Keeps an object from going before its topics have been decided about."""

    async def keep(self, pipeline: EventPipeline, *, present: bool) -> None:
        """Add or remove ours; an object that is gone needs none."""
        ...


@dataclass(frozen=True)
class Legacy:
    """What an object that is gone has left in Kafka."""

    key: Key
    uid: str
    servers: str
    at: str
    topics: tuple[Left, ...]
    users: tuple[str, ...] = ()


class Legacies(Protocol):
    """Records of the operator's own about what is left behind."""

    async def record(self, legacies: Sequence[Legacy]) -> None:
        """Write them down; the same again changes nothing."""
        ...


class SecretReader(Protocol):
    """Reads Secrets of a namespace."""

    async def contents(self, namespace: str, name: str) -> Mapping[str, str]:
        """All keys of a Secret; empty when it is not there."""
        ...


class StatusWriter(Protocol):
    """Writes what users see."""

    async def write_status(self, pipeline: EventPipeline, status: Mapping[str, Any]) -> None:
        """Replace the status."""
        ...

    async def emit_event(self, pipeline: EventPipeline, condition: Condition) -> None:
        """Tell of a changed condition."""
        ...


class Metrics(Protocol):
    """Counts what the reconciler does."""

    def reconciled(self, key: Key, seconds: float, outcome: str) -> None:
        """One pass has ended."""
        ...

    def failed(self, reason: str) -> None:
        """A pass met a problem."""
        ...

    def removed(self, topics: int) -> None:
        """Topics went with their object."""
        ...

    def left_behind(self, obstacle: Obstacle, topics: int) -> None:
        """Topics stay while their object goes."""
        ...


@dataclass(frozen=True)
class Ports:
    """All of them."""

    kafka: Kafka
    users: KafkaUsers
    secrets: SecretReader
    vault: VaultPort
    runtime: Runtime
    status: StatusWriter
    metrics: Metrics
    safe: Safe
    lags: Lags
    removal: TopicRemoval
    finalizers: Finalizers
    legacies: Legacies
    archive: Archive
