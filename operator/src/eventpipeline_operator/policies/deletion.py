"""Which topics go with their object, which have to wait a moment, and which stay behind, and why.

A topic is removed only when it is the very one that the object has recorded, nobody else claims
it, and removing it stays within the budget: no group of others has committed offsets on it, nobody
reads it now, and it holds few records. The budget (and nothing else) can be approved away.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from eventpipeline_operator.api.observed import TopicUsage
from eventpipeline_operator.api.types import Key

APPROVES_ALL = "*"
SHOWN_GROUPS = 3


class Obstacle(StrEnum):
    """Why a topic is left behind."""

    RETAINED = "Retained"
    ORPHANED = "Orphaned"
    SPEC_UNREADABLE = "InvalidSpec"
    NOT_RECORDED = "NotRecorded"
    RECREATED = "Recreated"
    CLAIMED = "ClaimedByAnother"
    OFFSETS_OUTSIDE = "OffsetsOfOthers"
    MEMBER_ALIVE = "LiveMember"
    TOO_MANY_RECORDS = "TooManyRecords"
    WORKLOADS_RUNNING = "WorkloadsRunning"
    KAFKA_UNAVAILABLE = "KafkaUnavailable"
    KAFKA_DENIED = "KafkaDenied"
    REFUSED = "RefusedByKafka"


@dataclass(frozen=True)
class Left:
    """A topic that stays behind."""

    topic: str
    obstacle: Obstacle
    message: str = ""


@dataclass(frozen=True)
class Budget:
    """What may be removed without being asked for: whose groups are inside, how many records."""

    prefix: str
    groups: frozenset[str]
    max_records: int
    approved: tuple[str, ...] = ()

    def approves(self, topic: str) -> bool:
        """Whether the object itself says that this topic may go whatever it holds."""
        return APPROVES_ALL in self.approved or topic in self.approved

    def inside(self, group: str) -> bool:
        """Whether a consumer group is the object's own."""
        return group in self.groups or group.startswith(self.prefix)


@dataclass(frozen=True)
class DeletionPlan:
    """Topics to remove (name to id), those that may become removable at once, and the rest."""

    remove: Mapping[str, str] = field(default_factory=dict)
    waiting: tuple[Left, ...] = ()
    left: tuple[Left, ...] = ()


def plan_deletion(
    recorded: Mapping[str, str],
    existing: Mapping[str, TopicUsage],
    rivals: Mapping[str, Key],
    budget: Budget,
) -> DeletionPlan:
    """Judge all topics that exist; `recorded` are the object's ids by Kafka name."""
    remove: dict[str, str] = {}
    waiting: list[Left] = []
    left: list[Left] = []
    for name, usage in existing.items():
        found = _identity(name, usage, recorded, rivals)
        if found is None and not budget.approves(name):
            found = _spending(name, usage, budget)
            if found and found.obstacle is Obstacle.MEMBER_ALIVE:
                # The object's own members are on their way out; others' have no reason to go.
                own = all(budget.inside(group) for group in usage.live)
                (waiting if own else left).append(found)
                continue
        if found:
            left.append(found)
        else:
            remove[name] = usage.id
    return DeletionPlan(remove, tuple(waiting), tuple(left))


def keep_all(topics: Iterable[str], obstacle: Obstacle, message: str = "") -> tuple[Left, ...]:
    """The same verdict for all."""
    return tuple(Left(topic, obstacle, message) for topic in topics)


def _identity(
    name: str, usage: TopicUsage, recorded: Mapping[str, str], rivals: Mapping[str, Key]
) -> Left | None:
    known = recorded.get(name)
    if not known:
        return Left(name, Obstacle.NOT_RECORDED, "the object never recorded the topic's id")
    if known != usage.id:
        said = f"the topic has the id {usage.id}, the object recorded {known}"
        return Left(name, Obstacle.RECREATED, said)
    if name in rivals:
        return Left(name, Obstacle.CLAIMED, f"EventPipeline {rivals[name]} declares it too")
    return None


def _spending(name: str, usage: TopicUsage, budget: Budget) -> Left | None:
    outside = sorted(group for group in usage.committed if not budget.inside(group))
    if outside:
        said = f"committed offsets of {_some(outside)}"
        return Left(name, Obstacle.OFFSETS_OUTSIDE, said)
    if usage.records > budget.max_records:
        said = f"{usage.records} records are more than {budget.max_records}"
        return Left(name, Obstacle.TOO_MANY_RECORDS, said)
    if usage.live:
        return Left(name, Obstacle.MEMBER_ALIVE, f"live members of {_some(sorted(usage.live))}")
    return None


def _some(groups: list[str]) -> str:
    shown = ", ".join(groups[:SHOWN_GROUPS])
    more = len(groups) - SHOWN_GROUPS
    return f"group{'s' if len(groups) > 1 else ''} {shown}" + (f" and {more} more" * (more > 0))
