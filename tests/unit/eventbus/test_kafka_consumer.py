"""The Kafka end of a consumer, as far as it needs no broker."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest.mock import Mock

import confluent_kafka
import pytest

from eventbus import kafka_consumer
from eventbus.config import KafkaConfig
from eventbus.consumer import Answer, Partition
from eventbus.errors import Crash, Unavailable
from eventbus.kafka_consumer import KafkaConsumer


class PatientListener:
    """Asks twice."""

    def __init__(self) -> None:
        self.lost: list[Partition] = []

    def insist(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except Unavailable:
            return ask()

    def assigned(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {partition: 7 for partition in partitions if partition.number == 2}

    def revoked(self, partitions: Sequence[Partition]) -> None:
        self.lost += partitions


def client_of(consumer: KafkaConsumer) -> Any:
    """The mock that stands for librdkafka."""
    return consumer._client


def test_a_broker_that_is_away_during_an_assignment_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = Mock(side_effect=[Unavailable("broker transport failure"), {"orders": "id"}])
    monkeypatch.setattr(KafkaConsumer, "_topic_ids", answers)
    monkeypatch.setattr(confluent_kafka, "Consumer", Mock())
    consumer = KafkaConsumer(KafkaConfig("127.0.0.1:1"), "group")
    consumer.subscribe(["orders"], PatientListener())
    client, target = client_of(consumer), confluent_kafka.TopicPartition("orders", 2)
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
    client = client_of(subscribed)
    client.committed.return_value = [target(1, 30), target(3)]
    assigned = [target(1), target(2), target(3)]
    subscribed._on_assign(client, assigned)
    client.incremental_assign.assert_called_once_with(assigned)
    assert [each.offset for each in assigned] == [30, 7, confluent_kafka.OFFSET_BEGINNING]


def test_a_group_that_cannot_tell_where_it_stands_is_asked_again(subscribed: KafkaConsumer) -> None:
    client = client_of(subscribed)
    loading = confluent_kafka.KafkaError(confluent_kafka.KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    client.committed.side_effect = [confluent_kafka.KafkaException(loading), [target(1, 30)]]
    assigned = [target(1)]
    subscribed._on_assign(client, assigned)
    assert assigned[0].offset == 30


def test_a_member_that_was_put_out_does_not_ask_for_ever(subscribed: KafkaConsumer) -> None:
    client = client_of(subscribed)
    stale = confluent_kafka.KafkaError(confluent_kafka.KafkaError.STALE_MEMBER_EPOCH)
    client.committed.side_effect = confluent_kafka.KafkaException(stale)
    with pytest.raises(Crash, match="committed offsets"):
        subscribed._on_assign(client, [target(1)])
    client.incremental_assign.assert_not_called()


def fatal() -> Any:
    """As librdkafka tells it: by its code."""
    error = Mock(spec=confluent_kafka.KafkaError)
    error.fatal.return_value = False
    error.code.return_value = confluent_kafka.KafkaError._FATAL
    error.str.return_value = "The group id does not exist"
    return Mock(error=Mock(return_value=error))


@pytest.fixture
def beyond_help(subscribed: KafkaConsumer, monkeypatch: pytest.MonkeyPatch) -> KafkaConsumer:
    """A member with a partition, whose client has just met a fatal error."""
    first = client_of(subscribed)
    subscribed._on_assign(first, [target(2)])
    first.poll.return_value = fatal()
    monkeypatch.setattr(confluent_kafka, "Consumer", lambda _: Mock())
    return subscribed


def test_a_client_beyond_help_is_replaced(beyond_help: KafkaConsumer) -> None:
    first = client_of(beyond_help)
    assert beyond_help.poll(0.1, 1) == []
    second = client_of(beyond_help)
    assert second is not first
    second.subscribe.assert_not_called()
    second.poll.return_value = None
    beyond_help._join_at = 0.0  # the pause is over
    beyond_help.poll(0.1, 1)
    second.subscribe.assert_called_once()
    assert beyond_help.partition("orders", 2) is None
    listener: Any = beyond_help._listener
    assert [partition.number for partition in listener.lost] == [2]


def test_a_former_client_takes_nothing_from_the_new_one(beyond_help: KafkaConsumer) -> None:
    first = client_of(beyond_help)
    beyond_help.poll(0.1, 1)
    beyond_help._on_assign(client_of(beyond_help), [target(2)])
    beyond_help._on_revoke(first, [target(2)])
    assert beyond_help.partition("orders", 2) is not None


def test_one_client_after_the_other_beyond_help_ends_the_process(
    beyond_help: KafkaConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        confluent_kafka, "Consumer", lambda _: Mock(poll=Mock(return_value=fatal()))
    )
    for _ in range(kafka_consumer._RENEWALS):
        beyond_help.poll(0.1, 1)
    with pytest.raises(Crash, match="does not exist"):
        beyond_help.poll(0.1, 1)
