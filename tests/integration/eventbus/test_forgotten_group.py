"""A group that its broker has forgotten: librdkafka is beyond help then, the member is not."""

import shutil

from contracts.broker import member, message, read
from eventbus.kafka_consumer import KafkaConsumer
from integration.eventbus.test_kafka_broker import RealBroker
from servers.kafka import KafkaServer
from servers.waiting import wait_for


def forget_groups(kafka: KafkaServer) -> None:
    """As a disk that lost its last writes would."""
    kafka.stop(kill=True)
    for log in (kafka.directory / "data").glob("__consumer_offsets-*"):
        shutil.rmtree(log)
    kafka.start()


def test_a_group_that_the_broker_has_forgotten_is_joined_anew(own_kafka: KafkaServer) -> None:
    broker = RealBroker(own_kafka.bootstrap_servers)
    broker.create_topic("numbers", 3)
    producer = broker.producer()
    with member(broker, "readers", "numbers") as (consumer, _):
        assert isinstance(consumer, KafkaConsumer)
        producer.publish([message("numbers", "key", "1")])
        read(consumer, 1)
        first, values = consumer._client, set[bytes | None]()
        forget_groups(own_kafka)
        producer.publish([message("numbers", "key", "2")])

        def is_read_by_a_new_client() -> bool:
            values.update(record.value for record in consumer.poll(0.2, 10))
            return b"2" in values and consumer._client is not first

        wait_for("record 2, by a new client", is_read_by_a_new_client, seconds=60, interval=0)
