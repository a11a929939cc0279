"""Users and ACLs of a real broker, through the adapter."""

import secrets

import pytest

from contracts.kafka_users import KafkaUsersContract, UsersUnderTest
from eventpipeline_operator.adapters.kafka_users import KafkaUserAdmin
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import KafkaAccess
from eventpipeline_operator.errors import Stalled
from integration.operator.kafka_logins import CLIENT, Login, build_users
from servers.certificate import Certificate
from servers.kafka import ADMIN, ADMIN_PASSWORD, KafkaServer


@pytest.fixture
def access(guarded: KafkaServer) -> KafkaAccess:
    return KafkaAccess(guarded.secure_servers, "team", CLIENT)


@pytest.fixture
def admin(certificate: Certificate) -> KafkaUserAdmin:
    return build_users(Login(certificate, ADMIN, ADMIN_PASSWORD))


class TestKafkaUsers(KafkaUsersContract):
    @pytest.fixture
    def users(self, admin: KafkaUserAdmin, access: KafkaAccess) -> UsersUnderTest:
        return UsersUnderTest(admin, access)


async def test_an_identity_without_rights_on_the_cluster_is_a_persons_matter(
    admin: KafkaUserAdmin, access: KafkaAccess, certificate: Certificate
) -> None:
    name = f"nobody-{secrets.token_hex(4)}"
    await admin.admit(access, {name: "s3cret-s3cret"})
    nobody = build_users(Login(certificate, name, "s3cret-s3cret"))
    with pytest.raises(Stalled, match="Alter and Describe on the Cluster") as raised:
        await nobody.observe(access, "team.shop.")
    assert raised.value.reason == Reason.KAFKA_DENIED
    with pytest.raises(Stalled, match="grant it to the operator's identity") as raised:
        await nobody.admit(access, {"team.shop.order.relay": "hunter2-hunter2"})
    assert "hunter2" not in raised.value.message
