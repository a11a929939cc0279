"""The Kafka end of a consumer, as far as it needs no broker."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest.mock import Mock

import confluent_kafka
import pytest

from eventbus.config import KafkaConfig
from eventbus.consumer import Answer, KafkaConsumer, Partition
from eventbus.errors import Crash, Unavailable


class PatientListener:
    """Asks twice."""

    def insist(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except Unavailable:
            return ask()

    def assigned(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {partition: 7 for partition in partitions if partition.number == 2}

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


@pytest.fixture
def subscribed(monkeypatch: pytest.MonkeyPatch) -> KafkaConsumer:
    """Knows where partition 2 begins and no other."""
    monkeypatch.setattr(KafkaConsumer, "_topic_ids", Mock(return_value={"orders": "id"}))
    monkeypatch.setattr(confluent_kafka, "Consumer", Mock())
    consumer = KafkaConsumer(KafkaConfig("127.0.0.1:1"), "group")
    consumer.subscribe(["orders"], PatientListener())
    return consumer


def target(number: int, offset: int = confluent_kafka.OFFSET_INVALID) -> Any:
    return confluent_kafka.TopicPartition("orders", number, offset)


def test_no_beginning_is_left_to_the_client(subscribed: KafkaConsumer) -> None:
    """What it then fails to learn it never asks for again."""
    client = Mock()
    client.committed.return_value = [target(1, 30), target(3)]
    assigned = [target(1), target(2), target(3)]
    subscribed._on_assign(client, assigned)
    client.incremental_assign.assert_called_once_with(assigned)
    assert [each.offset for each in assigned] == [30, 7, confluent_kafka.OFFSET_BEGINNING]


def test_a_group_that_cannot_tell_where_it_stands_is_asked_again(subscribed: KafkaConsumer) -> None:
    client = Mock()
    loading = confluent_kafka.KafkaError(confluent_kafka.KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    client.committed.side_effect = [confluent_kafka.KafkaException(loading), [target(1, 30)]]
    assigned = [target(1)]
    subscribed._on_assign(client, assigned)
    assert assigned[0].offset == 30


def test_a_member_that_was_put_out_does_not_ask_for_ever(subscribed: KafkaConsumer) -> None:
    client = Mock()
    stale = confluent_kafka.KafkaError(confluent_kafka.KafkaError.STALE_MEMBER_EPOCH)
    client.committed.side_effect = confluent_kafka.KafkaException(stale)
    with pytest.raises(Crash, match="committed offsets"):
        subscribed._on_assign(client, [target(1)])
    client.incremental_assign.assert_not_called()
