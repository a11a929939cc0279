"""Who the operator is towards a test's broker: a Secret with a login, and the adapter with it."""

from collections.abc import Callable

from eventpipeline_operator.adapters.kafka import KafkaAdmin
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity
from eventpipeline_operator.adapters.kafka_users import KafkaUserAdmin
from eventpipeline_operator.api.types import KafkaClient, SaslMechanism
from servers.certificate import Certificate

CLIENT = KafkaClient(
    tls=True, ca_secret="ca", mechanism=SaslMechanism.SCRAM_SHA_512, sasl_secret="login"
)


class Login:
    """Secrets of a namespace: an authority and one login."""

    def __init__(self, certificate: Certificate, name: str, password: str) -> None:
        self.keys = {
            "ca": {"ca.crt": certificate.authority.read_text()},
            "login": {"username": name, "password": password},
        }

    async def contents(self, namespace: str, name: str) -> dict[str, str]:
        assert namespace
        return self.keys[name]


def build_users(login: Login, may_write: Callable[[], None] = lambda: None) -> KafkaUserAdmin:
    security = KafkaSecurity(login.contents, "system", {})
    return KafkaUserAdmin(KafkaAdmin(security), security, may_write)
