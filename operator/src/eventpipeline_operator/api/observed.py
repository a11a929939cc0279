"""What brokers and runtimes report: the observed side, as neutral as the desired records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from eventpipeline_operator.errors import ReconcileError, Retryable, Stalled


class Fate(StrEnum):
    """What becomes of a problem."""

    WAIT = "wait"
    RETRY = "retry"
    STALL = "stall"


@dataclass(frozen=True)
class Problem:
    """Something that keeps a condition from being true."""

    reason: str
    message: str
    fate: Fate = Fate.WAIT

    @classmethod
    def of(cls, error: ReconcileError) -> "Problem":
        """The problem that an expected failure is."""
        fate = Fate.WAIT
        if isinstance(error, Stalled):
            fate = Fate.STALL
        elif isinstance(error, Retryable):
            fate = Fate.RETRY
        return cls(error.reason, error.message, fate)


@dataclass(frozen=True)
class ObservedTopic:
    """A topic as the broker describes it; config holds the keys that are set explicitly.

    `replicas` are the brokers of each partition's copies, the preferred leader's first.
    """

    name: str
    id: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict)
    replicas: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class TopicUsage:
    """Who depends on a topic: its records, groups with committed offsets and with live members."""

    id: str
    records: int = 0
    committed: frozenset[str] = frozenset()
    live: frozenset[str] = frozenset()


@dataclass(frozen=True)
class WorkloadState:
    """How far a workload is; wanted counts processes of the newest revision.

    `least` is how many of a scaled workload's processes are enough: more may be on their way.
    """

    name: str
    wanted: int = 0
    updated: int = 0
    available: int = 0
    current: bool = False
    problem: Problem | None = None
    exists: bool = False
    least: int | None = None

    @property
    def ready(self) -> bool:
        """Everything wanted is there, and nothing else is."""
        if self.least is not None:
            enough = self.available >= min(self.least, self.wanted)
            return self.current and enough and self.problem is None
        return self.current and self.updated == self.available == self.wanted


class MigrationPhase(StrEnum):
    """How far a migration is."""

    ABSENT = "Absent"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True)
class MigrationState:
    """A migration and, where it does not get on, why."""

    phase: MigrationPhase
    problem: Problem | None = None


@dataclass(frozen=True)
class TopicItem:
    """What status keeps about one topic."""

    topic_name: str
    id: str = ""
    config_keys: tuple[str, ...] = ()


@dataclass(frozen=True, order=True, slots=True)
class Acl:
    """What a Kafka user may do, in the words of Kafka's enumerations in lower case.

    `prefixed` stands for all resources whose names begin so.
    """

    user: str
    resource: str
    name: str
    operation: str
    prefixed: bool = False
    host: str = "*"

    def __str__(self) -> str:
        where = "" if self.host == "*" else f" from {self.host}"
        return f"{self.user} {self.operation} {self.subject}{where}"

    @property
    def subject(self) -> str:
        """What it is about."""
        return f"{self.resource} {self.name}{'*' if self.prefixed else ''}"


@dataclass(frozen=True)
class ObservedUsers:
    """Users below a prefix with the iterations of their password, and what each may do.

    Without `login` nobody says who he is; without `authorizer` everybody may do everything.
    """

    iterations: Mapping[str, int] = field(default_factory=dict)
    acls: frozenset[Acl] = frozenset()
    login: bool = True
    authorizer: bool = True


@dataclass(frozen=True)
class TopicsObservation:
    """Outcome of the topics step; `apart` are Kafka names that this object may not have or use."""

    desired: int = 0
    ready: int = 0
    exist: bool = False
    verified: bool = False
    apart: frozenset[str] = frozenset()
    items: tuple[TopicItem, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class UserItem:
    """What status keeps about one Kafka user."""

    name: str
    object_name: str


@dataclass(frozen=True)
class UsersObservation:
    """Outcome of the users step, where Kafka users are asked for.

    Without `supported` workloads log in as without users; `leaving` users wait for their pods.
    """

    desired: int = 0
    usable: bool = False
    supported: bool = True
    leaving: bool = False
    items: tuple[UserItem, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class SecretItem:
    """What status keeps about one secret."""

    name: str
    object_name: str
    version: str


@dataclass(frozen=True)
class SecretsObservation:
    """Outcome of the secrets step."""

    desired: int = 0
    usable: bool = False
    items: tuple[SecretItem, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class ServiceState:
    """One service: its migration, its workloads."""

    name: str
    workloads: tuple[WorkloadState, ...] = ()
    migration: MigrationState | None = None

    @property
    def ready(self) -> bool:
        """The service runs as declared."""
        migrated = self.migration is None or self.migration.phase is MigrationPhase.SUCCEEDED
        return migrated and all(w.ready for w in self.workloads)


@dataclass(frozen=True)
class WorkloadsObservation:
    """Outcome of the workloads step."""

    desired: int = 0
    evaluated: bool = False
    services: tuple[ServiceState, ...] = ()
    problems: tuple[Problem, ...] = ()
    url: str | None = None


@dataclass(frozen=True)
class Observation:
    """All that one pass saw."""

    topics: TopicsObservation = field(default_factory=TopicsObservation)
    users: UsersObservation | None = None
    secrets: SecretsObservation = field(default_factory=SecretsObservation)
    workloads: WorkloadsObservation = field(default_factory=WorkloadsObservation)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Problems in the order of the steps."""
        states = self.workloads.services
        return (
            *self.topics.problems,
            *(self.users.problems if self.users else ()),
            *self.secrets.problems,
            *self.workloads.problems,
            *(s.migration.problem for s in states if s.migration and s.migration.problem),
            *(w.problem for s in states for w in s.workloads if w.problem and not w.ready),
        )
