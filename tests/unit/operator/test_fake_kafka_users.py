"""The fake users behave as a broker's do."""

import pytest

from contracts.kafka_users import KafkaUsersContract, UsersUnderTest
from eventpipeline_operator.api.types import KafkaAccess
from unit.operator.fake_kafka_users import FakeKafkaUsers


class TestFakeKafkaUsers(KafkaUsersContract):
    @pytest.fixture
    def users(self) -> UsersUnderTest:
        return UsersUnderTest(FakeKafkaUsers(), KafkaAccess("kafka:9092"))
