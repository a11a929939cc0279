"""Our Kafka clients keep the contract against a real broker."""

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from contracts.broker import Broker, BrokerContract
from eventbus.config import KafkaConfig
from eventbus.kafka_consumer import KafkaConsumer
from eventbus.producer import KafkaProducer
from servers.kafka import KafkaServer
from servers.waiting import wait_for


class RealBroker(Broker):
    def __init__(self, bootstrap_servers: str) -> None:
        self._config = KafkaConfig(bootstrap_servers)
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers})

    def create_topic(self, name: str, partitions: int) -> None:
        for future in self._admin.create_topics([NewTopic(name, partitions, 1)]).values():
            future.result()

    def recreate_topic(self, name: str, partitions: int) -> None:
        for future in self._admin.delete_topics([name]).values():
            future.result()
        wait_for(f"{name} to go", lambda: name not in self._admin.list_topics(timeout=5).topics)
        self.create_topic(name, partitions)

    def producer(self) -> KafkaProducer:
        return KafkaProducer(self._config)

    def consumer(self, group: str) -> KafkaConsumer:
        return KafkaConsumer(self._config, group)


class TestKafkaBroker(BrokerContract):
    @pytest.fixture
    def broker(self, kafka: KafkaServer) -> Broker:
        return RealBroker(kafka.bootstrap_servers)
