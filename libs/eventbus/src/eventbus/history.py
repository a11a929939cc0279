"""What Kafka says about a topic as a whole, for whoever reads it from its beginning (`replay`)."""

from collections.abc import Sequence

import confluent_kafka
import structlog
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from eventbus.config import KafkaConfig
from eventbus.consumer import Partition
from eventbus.errors import Unavailable

log = structlog.get_logger(__name__)

_SECONDS = 10.0


class KafkaHistory:
    """One topic, seen by an admin client."""

    def __init__(self, config: KafkaConfig, topic: str) -> None:
        self._admin = AdminClient(config.admin())
        self._topic = topic

    def partitions(self) -> Sequence[Partition]:
        """All that there are now."""
        wanted = confluent_kafka.TopicCollection([self._topic])
        try:
            asked = self._admin.describe_topics(wanted, request_timeout=_SECONDS)
            found = asked[self._topic].result()
        except confluent_kafka.KafkaException as error:
            raise Unavailable(f"partitions of {self._topic}: {error}") from error
        topic_id = str(found.topic_id)
        return [Partition(self._topic, each.id, topic_id) for each in found.partitions]

    def begins_at(self) -> int:
        """The first offset that is still there; 0 if nothing was ever removed."""
        earliest = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        asked = {
            confluent_kafka.TopicPartition(self._topic, partition.number): earliest
            for partition in self.partitions()
        }
        try:
            answers = self._admin.list_offsets(asked, request_timeout=_SECONDS)
            return max(int(future.result().offset) for future in answers.values())
        except confluent_kafka.KafkaException as error:
            raise Unavailable(f"the beginning of {self._topic}: {error}") from error

    def forget(self, group: str) -> None:
        """A group that is done; what is not forgotten here, Kafka forgets by itself in time."""
        try:
            self._admin.delete_consumer_groups([group], request_timeout=_SECONDS)[group].result()
        except confluent_kafka.KafkaException as error:
            log.info("history.group_stays", group=group, cause=str(error))
