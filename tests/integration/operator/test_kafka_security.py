"""The Kafka adapter against a broker that demands TLS and a SCRAM login."""

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventpipeline_operator.adapters.kafka import KafkaAdmin
from eventpipeline_operator.adapters.kafka_security import AdminIdentity, KafkaSecurity
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import KafkaAccess, KafkaClient, SaslMechanism
from eventpipeline_operator.desired.records import TopicRecord
from eventpipeline_operator.errors import Stalled
from servers.kafka import KafkaServer, SecureListener, find_java
from servers.local import find_artifact

PASSWORD = secrets.token_hex(8)
CLIENT = KafkaClient(
    tls=True, ca_secret="ca", mechanism=SaslMechanism.SCRAM_SHA_512, sasl_secret="login"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that signs itself."""
    directory = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", "/CN=kafka", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", directory / "key.pem", "-out", directory / "ca.crt",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return directory / "ca.crt"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[KafkaServer]:
    java, jars = find_java(), find_artifact("kafka")
    if java is None:
        pytest.skip("Java is not installed: `make setup` installs it")
    if isinstance(jars, str):
        pytest.skip(jars)
    both = certificate.with_name("both.pem")
    both.write_text(certificate.with_name("key.pem").read_text() + certificate.read_text())
    server = KafkaServer(
        java,
        jars / "libs",
        tmp_path_factory.mktemp("secured"),
        secure=SecureListener(both, "shop", PASSWORD),
    )
    server.start()
    yield server
    server.stop()


class Secrets:
    """Secrets of a cluster: a login and an authority in every namespace."""

    def __init__(self, certificate: Path, password: str = PASSWORD) -> None:
        self._certificate = certificate
        self._password = password

    async def __call__(self, namespace: str, name: str) -> dict[str, str]:
        if name == "ca":
            return {"ca.crt": self._certificate.read_text()}
        return {"username": "shop", "password": self._password} if namespace == "team" else {}


async def test_the_pipelines_client_is_let_in(secured: KafkaServer, certificate: Path) -> None:
    admin = KafkaAdmin(KafkaSecurity(Secrets(certificate), "system", {}))
    access = KafkaAccess(secured.secure_servers, "team", CLIENT)
    name = f"team.{secrets.token_hex(4)}"
    assert await admin.create(access, [TopicRecord("a", name)]) == {}
    assert set(await admin.describe(access, [name], [name])) == {name}


async def test_the_installers_identity_serves_the_namespaces_it_names(
    secured: KafkaServer, certificate: Path
) -> None:
    admins = {secured.secure_servers: AdminIdentity(CLIENT, ("other",))}
    admin = KafkaAdmin(KafkaSecurity(Secrets(certificate), "team", admins))
    assert await admin.describe(KafkaAccess(secured.secure_servers, "other"), ["a"], []) == {}


async def test_a_wrong_password_is_a_persons_matter(
    secured: KafkaServer, certificate: Path
) -> None:
    wrong = f"not-{PASSWORD}"
    admin = KafkaAdmin(KafkaSecurity(Secrets(certificate, wrong), "system", {}))
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
