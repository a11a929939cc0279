"""The Kafka adapter against a broker that demands TLS and a SCRAM login."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventpipeline_operator.adapters.kafka import KafkaAdmin
from eventpipeline_operator.adapters.kafka_security import AdminIdentity, KafkaSecurity
from eventpipeline_operator.adapters.kafka_users import KafkaUserAdmin
from eventpipeline_operator.api.observed import Acl
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import KafkaAccess, KafkaClient, SaslMechanism
from eventpipeline_operator.desired.records import TopicRecord
from eventpipeline_operator.errors import Stalled
from servers.certificate import Certificate
from servers.kafka import KafkaRunner, KafkaServer, SecureListener

PASSWORD = secrets.token_hex(8)
CLIENT = KafkaClient(
    tls=True, ca_secret="ca", mechanism=SaslMechanism.SCRAM_SHA_512, sasl_secret="login"
)


@pytest.fixture(scope="module")
def secured(run_kafka: KafkaRunner, certificate: Certificate) -> Iterator[KafkaServer]:
    listener = SecureListener(certificate.both, "shop", PASSWORD)
    with run_kafka("secured", secure=listener) as server:
        yield server


class Secrets:
    """Secrets of a cluster: a login and an authority in every namespace."""

    def __init__(self, certificate: Path, password: str = PASSWORD) -> None:
        self._certificate = certificate
        self._password = password

    async def __call__(self, namespace: str, name: str) -> dict[str, str]:
        if name == "ca":
            return {"ca.crt": self._certificate.read_text()}
        return {"username": "shop", "password": self._password} if namespace == "team" else {}


async def test_the_pipelines_client_is_let_in(
    secured: KafkaServer, certificate: Certificate
) -> None:
    admin = KafkaAdmin(KafkaSecurity(Secrets(certificate.authority), "system", {}))
    access = KafkaAccess(secured.secure_servers, "team", CLIENT)
    name = f"team.{secrets.token_hex(4)}"
    assert await admin.create(access, [TopicRecord("a", name)]) == {}
    assert set(await admin.describe(access, [name], [name])) == {name}


async def test_the_installers_identity_serves_the_namespaces_it_names(
    secured: KafkaServer, certificate: Certificate
) -> None:
    admins = {secured.secure_servers: AdminIdentity(CLIENT, ("other",))}
    admin = KafkaAdmin(KafkaSecurity(Secrets(certificate.authority), "team", admins))
    assert await admin.describe(KafkaAccess(secured.secure_servers, "other"), ["a"], []) == {}


async def test_a_wrong_password_is_a_persons_matter(
    secured: KafkaServer, certificate: Certificate
) -> None:
    wrong = f"not-{PASSWORD}"
    admin = KafkaAdmin(KafkaSecurity(Secrets(certificate.authority, wrong), "system", {}))
    with pytest.raises(Stalled) as raised:
        await admin.describe(KafkaAccess(secured.secure_servers, "team", CLIENT), ["a"], [])
    assert raised.value.reason == Reason.KAFKA_DENIED
    assert secured.secure_servers in raised.value.message
    assert PASSWORD not in raised.value.message


async def test_an_authority_that_is_no_certificate_is_a_persons_matter(tmp_path: Path) -> None:
    nonsense = tmp_path / "ca.crt"
    nonsense.write_text("no certificate")
    admin = KafkaAdmin(KafkaSecurity(Secrets(nonsense), "system", {}))
    with pytest.raises(Stalled, match="correct its Secrets"):
        await admin.describe(KafkaAccess("127.0.0.1:1", "team", CLIENT), ["a"], [])


async def test_that_there_is_no_authorizer_shows_when_something_is_to_be_allowed(
    secured: KafkaServer, certificate: Certificate
) -> None:
    security = KafkaSecurity(Secrets(certificate.authority), "system", {})
    users = KafkaUserAdmin(KafkaAdmin(security), security)
    access = KafkaAccess(secured.secure_servers, "team", CLIENT)
    assert (await users.observe(access, "team.shop.")).authorizer
    await users.allow(access, [Acl("team.shop.order.relay", "topic", "orders", "write")])
    assert not (await users.observe(access, "team.shop.")).authorizer


async def test_nobody_is_known_where_the_operator_itself_does_not_log_in(
    secured: KafkaServer,
) -> None:
    security = KafkaSecurity(Secrets(Path()), "system", {})
    users = KafkaUserAdmin(KafkaAdmin(security), security)
    assert not (await users.observe(KafkaAccess(secured.bootstrap_servers), "team.shop.")).login
