"""In-memory ports: brokers, Vault and runtime as far as the steps can tell."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from eventpipeline_operator.api.conditions import Condition
from eventpipeline_operator.api.observed import (
    MigrationPhase,
    MigrationState,
    ObservedTopic,
    TopicUsage,
    WorkloadState,
)
from eventpipeline_operator.api.offsets import GroupOffsets
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline, KafkaAccess, Key, Vault
from eventpipeline_operator.desired.records import (
    MigrationRecord,
    ScalingRecord,
    SecretRecord,
    SecretReference,
    TopicRecord,
    TrafficRecord,
    WorkloadRecord,
)
from eventpipeline_operator.desired.topic_plan import ConfigChange
from eventpipeline_operator.errors import ReconcileError, Stalled, Unanswered
from eventpipeline_operator.policies.deletion import Obstacle
from eventpipeline_operator.policies.leases import Term
from eventpipeline_operator.reconcile.ports import (
    Issued,
    KvValue,
    Legacy,
    Merge,
    Ports,
    Record,
    Session,
)
from unit.operator.fake_kafka_users import FakeKafkaUsers, FakeSecretReader


@dataclass
class FakeKafka:
    """Topics by name; `failure` is raised by every call while set."""

    topics: dict[str, ObservedTopic] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    failure: ReconcileError | None = None
    calls: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)

    async def describe(
        self, access: KafkaAccess, names: Collection[str], configured: Collection[str]
    ) -> Mapping[str, ObservedTopic]:
        self._count("describe")
        assert access.servers
        assert set(configured) <= set(names)
        return {name: self.topics[name] for name in names if name in self.topics}

    async def brokers(self, access: KafkaAccess) -> Sequence[int]:
        self._count("brokers")
        assert access.servers
        return [1, 2, 3]

    async def create(self, access: KafkaAccess, topics: Sequence[TopicRecord]) -> Mapping[str, str]:
        self._count("create")
        assert access.servers
        for topic in topics:
            if topic.name not in self.refusals:
                self.created.append(topic.name)
                self.topics[topic.name] = ObservedTopic(
                    name=topic.name,
                    id=f"id-{len(self.topics)}",
                    partitions=topic.partitions,
                    replication_factor=topic.replication_factor or 1,
                    config=dict(topic.config),
                    replicas=((1,),) * topic.partitions,
                )
        return {t.name: self.refusals[t.name] for t in topics if t.name in self.refusals}

    async def grow(self, access: KafkaAccess, totals: Mapping[str, int]) -> Mapping[str, str]:
        self._count("grow")
        assert access.servers
        for name, total in totals.items():
            self.topics[name] = replace(self.topics[name], partitions=total)
        return {}

    async def configure(
        self, access: KafkaAccess, changes: Mapping[str, ConfigChange]
    ) -> Mapping[str, str]:
        self._count("configure")
        assert access.servers
        for name, change in changes.items():
            config = {**self.topics[name].config, **change}
            kept = {k: v for k, v in config.items() if v is not None}
            self.topics[name] = replace(self.topics[name], config=kept)
        return {}

    @property
    def writes(self) -> list[str]:
        return [call for call in self.calls if call not in ("describe", "brokers")]

    def _count(self, call: str) -> None:
        self.calls.append(call)
        if self.failure:
            raise self.failure


@dataclass
class FakeRemoval:
    """Usage of topics by name; what is not told of is used by nobody."""

    kafka: FakeKafka
    usages: dict[str, TopicUsage] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    failure: ReconcileError | None = None
    removed: list[str] = field(default_factory=list)
    inspections: int = 0

    async def inspect(
        self, access: KafkaAccess, names: Collection[str]
    ) -> Mapping[str, TopicUsage]:
        assert access.servers
        self.inspections += 1
        if self.failure:
            raise self.failure
        topics = {name: self.kafka.topics[name] for name in names if name in self.kafka.topics}
        return {n: replace(self.usages.get(n, TopicUsage("")), id=t.id) for n, t in topics.items()}

    async def remove(self, access: KafkaAccess, ids: Mapping[str, str]) -> Mapping[str, str]:
        assert access.servers
        for name, topic_id in ids.items():
            if name not in self.refusals:
                assert self.kafka.topics.pop(name).id == topic_id
                self.removed.append(name)
        return {name: self.refusals[name] for name in ids if name in self.refusals}


@dataclass
class FakeFinalizers:
    """Who was given or relieved of the finalizer, in order."""

    written: list[tuple[str, bool]] = field(default_factory=list)
    failure: ReconcileError | None = None

    async def keep(self, pipeline: EventPipeline, *, present: bool) -> None:
        if self.failure:
            raise self.failure
        self.written.append((pipeline.uid, present))


@dataclass
class FakeLegacies:
    """Records in order."""

    records: list[Legacy] = field(default_factory=list)
    failure: ReconcileError | None = None

    async def record(self, legacies: Sequence[Legacy]) -> None:
        if self.failure:
            raise self.failure
        self.records += legacies


@dataclass
class FakeSafe:
    """Records as JSON texts, as they are stored."""

    records: dict[str, str] = field(default_factory=dict)
    failure: ReconcileError | None = None
    fails_after: int = 0
    writes: int = 0

    async def load(self, key: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = json.loads(self.records.get(key, "null"))
        return found

    async def keys(self, prefix: str) -> list[str]:
        return [key for key in self.records if key.startswith(prefix)]

    async def store(self, key: str, record: Mapping[str, Any] | None) -> None:
        self.writes += 1
        if self.failure and self.writes > self.fails_after:
            raise self.failure
        if record is None:
            self.records.pop(key, None)
        else:
            self.records[key] = json.dumps(record)


@dataclass
class FakeVault:
    """kv secrets by path, and leases of 100 seconds until `max_life`."""

    secrets: dict[str, KvValue] = field(
        default_factory=lambda: {"shop": KvValue({"USER": "ada", "PASSWORD": "p@ss"}, "1")}
    )
    failure: ReconcileError | None = None
    reads: int = 0
    now: float = 0.0
    max_life: float = 1000.0
    session: str = "first"
    issued: dict[str, float] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)
    renewals: int = 0
    unanswered: bool = False
    made_by: dict[str, str] = field(default_factory=dict)
    abandoned: list[str] = field(default_factory=list)
    refused: frozenset[str] = frozenset({"database/creds/nobody"})

    def clock(self) -> float:
        return self.now

    async def hold_session(self, namespace: str, vault: Vault) -> Session:
        assert (namespace, vault.role) == ("team", "shop")
        return Session(self.session, Term(self.now, 600, 600, renewable=True))

    async def issue(self, namespace: str, vault: Vault, path: str) -> Issued:
        assert (namespace, vault.role) == ("team", "shop")
        if self.failure:
            raise self.failure
        if path in self.refused:
            raise Stalled(Reason.CREDENTIALS_REFUSED, f"no role for {path}")
        lease = f"{path}/{len(self.issued) + 1}"
        self.issued[lease] = self.now
        self.made_by[lease] = self.session
        if self.unanswered:
            raise Unanswered(Reason.VAULT_UNAVAILABLE, "timed out")
        values = {"username": f"u{len(self.issued)}", "password": "p@ss"}
        return Issued(values, lease, Term(self.now, 100, 100, renewable=True), self.session)

    async def renew(self, namespace: str, vault: Vault, lease: str, term: Term) -> Term | None:
        assert (namespace, vault.role) == ("team", "shop")
        if self.failure:
            raise self.failure
        if lease in self.revoked:
            return None
        self.renewals += 1
        left = self.issued[lease] + self.max_life - self.now
        return replace(term, granted_at=self.now, seconds=min(100.0, left))

    async def revoke(self, namespace: str, vault: Vault, lease: str) -> None:
        assert (namespace, vault.role) == ("team", "shop")
        if self.failure:
            raise self.failure
        self.revoked.append(lease)

    async def abandon_session(self, namespace: str, vault: Vault, session: str) -> None:
        assert (namespace, vault.role) == ("team", "shop")
        if session == self.session:
            self.abandoned.append(session)
            self.session = f"after {session}"

    async def abandoned_sessions(self) -> Collection[str]:
        return list(self.abandoned)

    async def end_session(self, session: str) -> None:
        self.abandoned.remove(session)
        ended = [lease for lease, maker in self.made_by.items() if maker == session]
        self.revoked += [lease for lease in ended if lease not in self.revoked]

    async def read_kv(
        self, namespace: str, vault: Vault, mount: str, path: str, version: int | None
    ) -> KvValue:
        assert (namespace, mount, version) == ("team", "kv", None)
        assert vault.role == "shop"
        self.reads += 1
        if self.failure:
            raise self.failure
        if path not in self.secrets:
            raise Stalled(Reason.SECRET_NOT_FOUND, f"no secret {mount}/{path}")
        return self.secrets[path]


@dataclass
class FakeRuntime:
    """Holds what was applied; workloads are available and migrations succeed when told so."""

    applied: dict[str, Record] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    available: bool = True
    migrated: bool = True
    failures: dict[str, ReconcileError] = field(default_factory=dict)
    in_use: set[str] = field(default_factory=set)
    stopping: bool = False
    prune_failure: ReconcileError | None = None

    async def apply(self, pipeline: EventPipeline, records: Sequence[Record]) -> None:
        for record in records:
            name = self._name(pipeline, record)
            if name in self.failures:
                raise self.failures[name]
            if self.applied.get(name) != record:
                self.applied[name] = record
                self.log.append(name)

    async def prune(self, pipeline: EventPipeline, records: Sequence[Record]) -> None:
        if self.prune_failure:
            raise self.prune_failure
        kept = {self._name(pipeline, record) for record in records}
        for name in set(self.applied) - kept - self.in_use:
            del self.applied[name]
            self.log.append(f"-{name}")

    def observe_workload(self, pipeline: EventPipeline, record: WorkloadRecord) -> WorkloadState:
        live = self.applied.get(self._name(pipeline, record))
        if not isinstance(live, WorkloadRecord):
            return WorkloadState(record.name)
        wanted = 1 if live.replicas is None else live.replicas
        available = wanted if self.available else 0
        return WorkloadState(record.name, wanted, wanted, available, current=True, exists=True)

    def observe_migration(self, pipeline: EventPipeline, record: MigrationRecord) -> MigrationState:
        if self._name(pipeline, record) not in self.applied:
            return MigrationState(MigrationPhase.ABSENT)
        done = MigrationPhase.SUCCEEDED if self.migrated else MigrationPhase.RUNNING
        return MigrationState(done)

    def observe_secret(
        self, pipeline: EventPipeline, wanted: SecretReference, source: str
    ) -> SecretReference | None:
        assert pipeline
        found = [
            record.reference
            for record in self.applied.values()
            if isinstance(record, SecretRecord)
            and (record.entry, record.source) == (wanted.entry, source)
        ]
        return found[-1] if found else None

    def holds_workloads(self, pipeline: EventPipeline) -> bool:
        assert pipeline
        return self.stopping or bool(self.names(WorkloadRecord))

    def holds_secret(self, pipeline: EventPipeline, reference: SecretReference) -> bool:
        return self.secret_name(pipeline, reference) in self.applied

    def holds_superseded(
        self, pipeline: EventPipeline, entry: str, reference: SecretReference | None
    ) -> bool:
        name = self.secret_name(pipeline, reference) if reference else None
        return any(
            isinstance(record, SecretRecord) and record.entry == entry and held != name
            for held, record in self.applied.items()
        )

    def secret_name(self, pipeline: EventPipeline, reference: SecretReference) -> str:
        return f"{pipeline.key.name}-{reference.entry}-{reference.revision}"

    def names(self, kind: type) -> set[str]:
        return {name for name, record in self.applied.items() if isinstance(record, kind)}

    def _name(self, pipeline: EventPipeline, record: Record) -> str:
        if isinstance(record, SecretRecord):
            return self.secret_name(pipeline, record.reference)
        if isinstance(record, SecretReference):
            return self.secret_name(pipeline, record)
        if isinstance(record, MigrationRecord):
            return f"{record.name}-{record.revision}"
        if isinstance(record, TrafficRecord):
            return f"traffic-{record.workload}"
        return record.name if isinstance(record, WorkloadRecord) else "route"


@dataclass
class FakeStatus:
    """Statuses and events in order."""

    statuses: list[Mapping[str, Any]] = field(default_factory=list)
    events: list[Condition] = field(default_factory=list)

    async def write_status(self, pipeline: EventPipeline, status: Mapping[str, Any]) -> None:
        assert pipeline
        self.statuses.append(status)

    async def emit_event(self, pipeline: EventPipeline, condition: Condition) -> None:
        assert pipeline
        self.events.append(condition)

    def condition(self, kind: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = next(
            (c for c in self.statuses[-1]["conditions"] if c["type"] == kind), {}
        )
        return found


@dataclass
class FakeMetrics:
    """Outcomes in order."""

    outcomes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    removals: int = 0
    left: dict[Obstacle, int] = field(default_factory=dict)

    def reconciled(self, key: Key, seconds: float, outcome: str) -> None:
        assert key
        assert seconds >= 0
        self.outcomes.append(outcome)

    def failed(self, reason: str) -> None:
        self.failures.append(reason)

    def removed(self, topics: int) -> None:
        self.removals += topics

    def left_behind(self, obstacle: Obstacle, topics: int) -> None:
        self.left[obstacle] = self.left.get(obstacle, 0) + topics


@dataclass
class FakeLags:
    """Offsets by group; a group that is not there could not be read."""

    groups: dict[str, GroupOffsets] = field(default_factory=dict)
    asked: list[set[str]] = field(default_factory=list)

    async def observe(
        self, groups: Collection[ScalingRecord]
    ) -> Mapping[ScalingRecord, GroupOffsets]:
        self.asked.append({g.group for g in groups})
        return {g: self.groups[g.group] for g in groups if g.group in self.groups}


@dataclass
class FakeArchive:
    """Journals as JSON texts, as they are stored."""

    texts: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    writes: int = 0

    async def load(self) -> dict[str, dict[str, Any]]:
        return {key: json.loads(text) for key, text in self.texts.items()}

    async def update(self, changes: Mapping[str, Merge]) -> set[str]:
        written = set(changes) - self.broken
        for key in written:
            record = changes[key](json.loads(self.texts.get(key, "null")))
            self.writes += 1
            if record is None:
                self.texts.pop(key, None)
            else:
                self.texts[key] = json.dumps(record)
        return written


@dataclass
class World:
    """All ports of one test."""

    kafka: FakeKafka = field(default_factory=FakeKafka)
    users: FakeKafkaUsers = field(default_factory=FakeKafkaUsers)
    secrets: FakeSecretReader = field(init=False)
    vault: FakeVault = field(default_factory=FakeVault)
    runtime: FakeRuntime = field(default_factory=FakeRuntime)
    status: FakeStatus = field(default_factory=FakeStatus)
    metrics: FakeMetrics = field(default_factory=FakeMetrics)
    safe: FakeSafe = field(default_factory=FakeSafe)
    lags: FakeLags = field(default_factory=FakeLags)
    removal: FakeRemoval = field(init=False)
    finalizers: FakeFinalizers = field(default_factory=FakeFinalizers)
    legacies: FakeLegacies = field(default_factory=FakeLegacies)
    archive: FakeArchive = field(default_factory=FakeArchive)

    def __post_init__(self) -> None:
        self.removal = FakeRemoval(self.kafka)
        self.secrets = FakeSecretReader(self.runtime.applied)

    @property
    def ports(self) -> Ports:
        return Ports(**{port.name: getattr(self, port.name) for port in fields(Ports)})
