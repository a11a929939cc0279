"""What the steps need from Kafka, as protocols; ports.py has the rest."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from eventpipeline_operator.api.observed import Acl, ObservedTopic, ObservedUsers, TopicUsage
from eventpipeline_operator.api.offsets import GroupOffsets
from eventpipeline_operator.api.types import KafkaAccess
from eventpipeline_operator.desired.records import ScalingRecord, TopicRecord
from eventpipeline_operator.desired.topic_plan import ConfigChange


class Kafka(Protocol):
    """Administration of one or more clusters.

    Unreachable or refusing clusters raise Retryable; a refusal of a single topic is returned by
    its name with the broker's words.
    """

    async def describe(
        self, access: KafkaAccess, names: Collection[str], configured: Collection[str]
    ) -> Mapping[str, ObservedTopic]:
        """Describe topics; those that do not exist are left out. Config only of `configured`."""
        ...

    async def brokers(self, access: KafkaAccess) -> Sequence[int]:
        """The ids of all brokers."""
        ...

    async def create(self, access: KafkaAccess, topics: Sequence[TopicRecord]) -> Mapping[str, str]:
        """Create topics; one that exists already is no refusal."""
        ...

    async def grow(self, access: KafkaAccess, totals: Mapping[str, int]) -> Mapping[str, str]:
        """Raise the number of partitions to a total."""
        ...

    async def configure(
        self, access: KafkaAccess, changes: Mapping[str, ConfigChange]
    ) -> Mapping[str, str]:
        """Set keys; None takes one back to its default."""
        ...


class Lags(Protocol):
    """Where consumer groups stand, for scaling; never asked by a pass."""

    async def observe(
        self, groups: Collection[ScalingRecord]
    ) -> Mapping[ScalingRecord, GroupOffsets]:
        """Offsets of groups; one that could not be read in full is left out."""
        ...


class KafkaUsers(Protocol):
    """Users with a SCRAM-SHA-512 password, and what they may do; failures are as of Kafka.

    All of it may be said again: what is as wished stays so.
    """

    async def observe(self, access: KafkaAccess, prefix: str) -> ObservedUsers:
        """Those whose names begin so, and what each is allowed; nothing of what is denied."""
        ...

    async def admit(self, access: KafkaAccess, passwords: Mapping[str, str]) -> None:
        """Have users with these passwords."""
        ...

    async def dismiss(self, access: KafkaAccess, names: Collection[str]) -> None:
        """Have these users no more."""
        ...

    async def allow(self, access: KafkaAccess, acls: Collection[Acl]) -> None:
        """Let users do this."""
        ...

    async def forbid(self, access: KafkaAccess, acls: Collection[Acl]) -> None:
        """Let users do exactly this no more."""
        ...


class TopicRemoval(Protocol):
    """Taking topics away; failures are as of Kafka."""

    async def inspect(
        self, access: KafkaAccess, names: Collection[str]
    ) -> Mapping[str, TopicUsage]:
        """Who depends on topics; those that do not exist are left out."""
        ...

    async def remove(self, access: KafkaAccess, ids: Mapping[str, str]) -> Mapping[str, str]:
        """Remove topics (name to id) if they still are the same; refusals by name, in words."""
        ...
