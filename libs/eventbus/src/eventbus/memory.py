"""A broker in memory with Kafka's manners: keys, partitions, groups, rebalance, topic ids.

For unit tests and simulation. The same contract suite runs against it and against real Kafka.
"""

import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eventbus.consumer import AssignmentListener, Partition
from eventbus.envelope import Outgoing, Record
from eventbus.errors import PublishFailed


@dataclass
class _Topic:
    id: str
    partitions: list[list[Record]]


@dataclass
class _Group:
    members: list["MemoryConsumer"] = field(default_factory=list)
    committed: dict[Partition, int] = field(default_factory=dict)


class MemoryBroker:
    """Topics and groups; single-threaded by intent."""

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}
        self._groups: dict[str, _Group] = {}
        self.available = True

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """A new topic, or a new life of one that existed."""
        self._topics[name] = _Topic(uuid.uuid4().hex, [[] for _ in range(partitions)])
        for group in self._groups.values():
            self.rebalance(group)

    def append(self, message: Outgoing) -> None:
        """Store one record in the partition of its key."""
        if message.topic not in self._topics:
            raise PublishFailed(f"topic {message.topic} does not exist")
        partitions = self._topics[message.topic].partitions
        number = zlib.crc32(message.key or b"") % len(partitions)
        log = partitions[number]
        log.append(
            Record(message.topic, number, len(log), message.key, message.value, message.headers)
        )

    def records(self, topic: str) -> list[Record]:
        """Everything in a topic, partition by partition."""
        return [record for log in self._topics[topic].partitions for record in log]

    def log_of(self, partition: Partition) -> list[Record]:
        """One partition's records; none if that life of the topic is over."""
        topic = self._topics[partition.topic]
        return topic.partitions[partition.number] if topic.id == partition.topic_id else []

    def group(self, name: str) -> _Group:
        """A group, made on first use."""
        return self._groups.setdefault(name, _Group())

    def rebalance(self, group: _Group) -> None:
        """Deal the partitions anew; members notice at their next poll."""
        wanted: dict[int, set[Partition]] = {id(member): set() for member in group.members}
        for name, topic in sorted(self._topics.items()):
            interested = [member for member in group.members if name in member.topics]
            for number in range(len(topic.partitions) if interested else 0):
                owner = interested[number % len(interested)]
                wanted[id(owner)].add(Partition(name, number, topic.id))
        for member in group.members:
            member.target = wanted[id(member)]


class MemoryProducer:
    """Publishes to a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Store all of them, or fail."""
        if not self._broker.available:
            raise PublishFailed("the broker is away")
        for message in messages:
            self._broker.append(message)

    def close(self) -> None:
        """Nothing to give up."""


class MemoryConsumer:
    """A member of a group of a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, group: str) -> None:
        self._broker = broker
        self._group = broker.group(group)
        self._listener: AssignmentListener | None = None
        self._paused = False
        self._positions: dict[Partition, int] = {}
        self.topics: frozenset[str] = frozenset()
        self.target: set[Partition] = set()

    def subscribe(self, topics: Sequence[str], listener: AssignmentListener) -> None:
        """Join the group."""
        self.topics = frozenset(topics)
        self._listener = listener
        self._group.members.append(self)
        self._broker.rebalance(self._group)

    def poll(self, timeout: float, limit: int) -> list[Record]:  # noqa: ARG002
        """What is there now; nothing is waited for."""
        self._follow_target()
        if self._paused or not self._broker.available:
            return []
        batch: list[Record] = []
        for partition in sorted(self._positions):
            start = self._positions[partition]
            found = self._broker.log_of(partition)[start : start + limit - len(batch)]
            self._positions[partition] += len(found)
            batch.extend(found)
        return batch

    def partition(self, topic: str, number: int) -> Partition | None:
        """The assigned partition of a record."""
        for partition in self._positions:
            if (partition.topic, partition.number) == (topic, number):
                return partition
        return None

    def rewind(self, partition: Partition, offset: int) -> None:
        """Go on from another offset."""
        if partition in self._positions:
            self._positions[partition] = offset

    def pause(self) -> None:
        """Deliver nothing."""
        self._paused = True

    def resume(self) -> None:
        """Deliver again."""
        self._paused = False

    def acknowledge(self, positions: Mapping[Partition, int]) -> None:
        """Commit for the group."""
        self._group.committed.update(positions)

    def lag(self) -> dict[Partition, int]:
        """Records that wait."""
        return {p: len(self._broker.log_of(p)) - at for p, at in self._positions.items()}

    def close(self) -> None:
        """Leave the group."""
        if self in self._group.members:
            self._group.members.remove(self)
        self._positions.clear()
        self._broker.rebalance(self._group)

    def _follow_target(self) -> None:
        listener = self._listener
        if listener is None:
            return
        gone = self._positions.keys() - self.target
        if gone:
            listener.revoked(sorted(gone))
            for partition in gone:
                del self._positions[partition]
        new = sorted(self.target - self._positions.keys())
        if new:
            starts = listener.assigned(new)
            for partition in new:
                committed = self._group.committed.get(partition, 0)
                self._positions[partition] = starts.get(partition, committed)
