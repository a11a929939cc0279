"""Desired topics and observed ones → what to create, grow and configure, and what is refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from eventpipeline_operator.api.observed import Fate, ObservedTopic, Problem
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.desired.reassignment import describe_reassignment
from eventpipeline_operator.desired.records import TopicRecord

ConfigChange = Mapping[str, str | None]


@dataclass(frozen=True)
class TopicPlan:
    """Changes by Kafka name; None as a value takes a key back to its default."""

    create: tuple[TopicRecord, ...] = ()
    grow: Mapping[str, int] = field(default_factory=dict)
    configure: Mapping[str, ConfigChange] = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)

    @property
    def changes(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.create or self.grow or self.configure)

    @property
    def misplaced(self) -> bool:
        """Whether a topic has another number of copies than declared."""
        return any(p.reason == Reason.REPLICATION_DIFFERS for p in self.problems.values())


def plan_topics(
    records: Iterable[TopicRecord],
    observed: Mapping[str, ObservedTopic],
    managed: Mapping[str, Iterable[str]],
    brokers: Sequence[int] = (),
) -> TopicPlan:
    """Compare; `managed` are the config keys that this object set earlier, by Kafka name.

    With `brokers`, the ids of all, a wrong number of copies is told with the way to mend it.
    """
    create, grow, configure, problems = [], {}, {}, {}
    for record in records:
        live = observed.get(record.name)
        problem = _problem(record, live, brokers)
        if problem:
            problems[record.name] = problem
        if record.external:
            continue
        if live is None:
            create.append(record)
            continue
        if record.partitions > live.partitions:
            grow[record.name] = record.partitions
        change = _config_change(record.config, live.config, managed.get(record.name, ()))
        if change:
            configure[record.name] = change
    return TopicPlan(tuple(create), grow, configure, problems)


def _problem(
    record: TopicRecord, live: ObservedTopic | None, brokers: Sequence[int]
) -> Problem | None:
    field_path = f"spec.topics[{record.entry}]"
    if live is None:
        if not record.external:
            return None
        return Problem(
            Reason.EXTERNAL_TOPIC_MISSING,
            f"{field_path}.external: the topic {record.name} does not exist: create it or "
            "correct the name",
            Fate.STALL,
        )
    if record.external or record.dead_letters_of:
        return None
    if record.partitions < live.partitions:
        return Problem(
            Reason.PARTITION_DECREASE,
            f"{field_path}.partitions: {record.partitions} is fewer than the {live.partitions} "
            f"that {record.name} has, and Kafka cannot shrink a topic: set {live.partitions} or "
            "declare another topic",
            Fate.STALL,
        )
    factor = record.replication_factor
    if factor is not None and factor != live.replication_factor:
        remedy = describe_reassignment(record.name, live.replicas, factor, brokers)
        return Problem(
            Reason.REPLICATION_DIFFERS,
            f"{field_path}.replicationFactor: {record.name} has {live.replication_factor}, "
            f"{factor} is wanted: set the field to what is, or {remedy}",
            Fate.STALL,
        )
    return None


def _config_change(
    wanted: Mapping[str, str], live: Mapping[str, str], managed: Iterable[str]
) -> dict[str, str | None]:
    change: dict[str, str | None] = {k: v for k, v in wanted.items() if live.get(k) != v}
    change.update({k: None for k in managed if k not in wanted and k in live})
    return change
