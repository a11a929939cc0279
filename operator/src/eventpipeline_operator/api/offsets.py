"""Where a consumer group stands, as a broker tells it."""

from collections.abc import Mapping
from dataclasses import dataclass

TopicPartition = tuple[str, int]


@dataclass(frozen=True)
class PartitionOffsets:
    """One partition: its first record, the end, and what the group has committed."""

    start: int
    end: int
    committed: int | None = None

    @property
    def position(self) -> int:
        """Where the group goes on; a commit beyond the end is of another life of the topic."""
        if self.committed is None or self.committed > self.end:
            return self.start
        return max(self.committed, self.start)

    @property
    def lag(self) -> int:
        """Records that wait; those that retention has removed do not."""
        return max(0, self.end - self.position)


@dataclass(frozen=True)
class GroupOffsets:
    """All partitions of all topics that a group reads."""

    partitions: Mapping[TopicPartition, PartitionOffsets]

    @property
    def lag(self) -> int:
        """Records that wait in all partitions."""
        return sum(p.lag for p in self.partitions.values())

    @property
    def committed(self) -> bool:
        """Whether the group has ever told how far it is."""
        return any(p.committed is not None for p in self.partitions.values())
