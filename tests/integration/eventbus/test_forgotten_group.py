"""A group that its broker has forgotten: librdkafka is beyond help then, the member is not."""

import shutil
import time

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contracts.broker import member, message, read
from eventbus.config import KafkaConfig
from eventbus.kafka_consumer import KafkaConsumer
from eventbus.producer import KafkaProducer
from integration.eventbus.test_kafka_broker import RealBroker
from servers.kafka import KafkaServer


def forget_groups(kafka: KafkaServer) -> None:
    """As a disk that lost its last writes would."""
    kafka.stop(kill=True)
    for log in (kafka.directory / "data").glob("__consumer_offsets-*"):
        shutil.rmtree(log)
    kafka.start()


def test_a_group_that_the_broker_has_forgotten_is_joined_anew(own_kafka: KafkaServer) -> None:
    admin = AdminClient({"bootstrap.servers": own_kafka.bootstrap_servers})
    for future in admin.create_topics([NewTopic("numbers", 3, 1)]).values():
        future.result()
    broker = RealBroker(own_kafka.bootstrap_servers)
    producer = KafkaProducer(KafkaConfig(own_kafka.bootstrap_servers))
    with member(broker, "readers", "numbers") as (consumer, _):
        assert isinstance(consumer, KafkaConsumer)
        producer.publish([message("numbers", "key", "1")])
        read(consumer, 1)
        first = consumer._client
        forget_groups(own_kafka)
        producer.publish([message("numbers", "key", "2")])
        deadline, values = time.monotonic() + 60, set[bytes | None]()
        while b"2" not in values or consumer._client is first:
            values |= {record.value for record in consumer.poll(0.2, 10)}
            assert time.monotonic() < deadline, f"came: {values}"
