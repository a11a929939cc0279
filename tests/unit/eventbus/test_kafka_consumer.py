"""The Kafka end of a consumer, as far as it needs no broker."""

from collections.abc import Callable, Mapping, Sequence
from unittest.mock import Mock

import confluent_kafka
import pytest

from eventbus.config import KafkaConfig
from eventbus.consumer import Answer, KafkaConsumer, Partition
from eventbus.errors import Unavailable


class PatientListener:
    """Asks twice."""

    def insist(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except Unavailable:
            return ask()

    def assigned(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return dict.fromkeys(partitions, 7)

    def revoked(self, partitions: Sequence[Partition]) -> None:
        raise NotImplementedError(partitions)


def test_a_broker_that_is_away_during_an_assignment_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = Mock(side_effect=[Unavailable("broker transport failure"), {"orders": "id"}])
    monkeypatch.setattr(KafkaConsumer, "_topic_ids", answers)
    monkeypatch.setattr(confluent_kafka, "Consumer", Mock())
    consumer = KafkaConsumer(KafkaConfig("127.0.0.1:1"), "group")
    consumer.subscribe(["orders"], PatientListener())
    client, target = Mock(), confluent_kafka.TopicPartition("orders", 2)
    consumer._on_assign(client, [target])
    client.incremental_assign.assert_called_once_with([target])
    assert target.offset == 7
    assert consumer.partition("orders", 2) == Partition("orders", 2, "id")
