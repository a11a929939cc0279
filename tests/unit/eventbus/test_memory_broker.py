"""The broker in memory keeps the contract that real Kafka keeps."""

import pytest

from contracts.broker import Broker, BrokerContract
from eventbus.memory import MemoryBroker, MemoryConsumer, MemoryProducer


class _Memory(Broker):
    def __init__(self) -> None:
        self._broker = MemoryBroker()

    def create_topic(self, name: str, partitions: int) -> None:
        self._broker.create_topic(name, partitions)

    def recreate_topic(self, name: str, partitions: int) -> None:
        self._broker.create_topic(name, partitions)

    def producer(self) -> MemoryProducer:
        return MemoryProducer(self._broker)

    def consumer(self, group: str) -> MemoryConsumer:
        return MemoryConsumer(self._broker, group)


class TestMemoryBroker(BrokerContract):
    @pytest.fixture
    def broker(self) -> Broker:
        return _Memory()
