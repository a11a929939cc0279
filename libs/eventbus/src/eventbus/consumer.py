"""What a consumer loop needs of a broker: a group member that begins where it is told.

`batch` drives it. Positions in Kafka are a hint only, so a member asks its listener on every
assignment; partitions are named together with the topic's Kafka id, because a topic that was
deleted and made again starts a new history under the same name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from eventbus.envelope import Record

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One partition of one life of a topic."""

    topic: str
    number: int
    topic_id: str


class AssignmentListener(Protocol):
    """Who decides where consumption begins."""

    def insist(self, ask: Callable[[], Answer]) -> Answer:
        """Ask until there is an answer: an assignment cannot be put off."""
        ...

    def assigned(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """The offset to begin at; a partition left out begins where the group committed."""
        ...

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """These belong to someone else now, perhaps without warning."""
        ...


class Consumer(Protocol):
    """What `batch` needs from a broker."""

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        """Join the group."""
        ...

    def poll(self, timeout: float, limit: int) -> list[Record]:
        """Wait for a first record, then take what is already there."""
        ...

    def partition(self, topic: str, number: int) -> Partition | None:
        """The assigned partition of a record; None if it is no longer ours."""
        ...

    def rewind(self, partition: Partition, offset: int) -> None:
        """Go on from another offset."""
        ...

    def pause(self) -> None:
        """Deliver nothing, but stay a member."""
        ...

    def resume(self) -> None:
        """Deliver again."""
        ...

    def acknowledge(self, positions: Mapping[Partition, int]) -> None:
        """Tell the broker how far we are."""
        ...

    def lag(self) -> dict[Partition, int]:
        """Records that wait, per assigned partition, as far as the broker has told."""
        ...

    def close(self) -> None:
        """Leave the group."""
        ...
