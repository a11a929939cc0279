"""From the `KAFKA_*` environment to plain client dictionaries.

The one place that knows how a producer, a consumer or an admin client is configured; the operator
uses it too. Standard library only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

ClientConfig = dict[str, str | int | float | bool]

_SECURITY = {
    "KAFKA_SECURITY_PROTOCOL": "security.protocol",
    "KAFKA_SASL_MECHANISM": "sasl.mechanism",
    "KAFKA_SASL_USERNAME": "sasl.username",
    "KAFKA_SASL_PASSWORD": "sasl.password",
    "KAFKA_SSL_CA_LOCATION": "ssl.ca.location",
}


@dataclass(frozen=True)
class KafkaConfig:
    """How to reach one Kafka cluster."""

    bootstrap_servers: str
    security: Mapping[str, str] = field(default_factory=dict, repr=False)
    client_id: str = "eventbus"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "KafkaConfig":
        """Read `KAFKA_BOOTSTRAP_SERVERS` and whatever security variables are set."""
        servers = environ.get("KAFKA_BOOTSTRAP_SERVERS", "")
        if not servers:
            raise ValueError("KAFKA_BOOTSTRAP_SERVERS is not set")
        security = {
            option: environ[name] for name, option in _SECURITY.items() if environ.get(name)
        }
        client_id = environ.get("POD_NAME") or environ.get("SERVICE") or "eventbus"
        return cls(servers, security, client_id)

    def admin(self) -> ClientConfig:
        """Options of an admin client."""
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": self.client_id,
            **self.security,
        }

    def producer(self) -> ClientConfig:
        """Options of an idempotent producer that waits for all in-sync replicas."""
        return {
            **self.admin(),
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 2,
            "delivery.timeout.ms": 30_000,
            "topic.metadata.propagation.max.ms": 5_000,
            "allow.auto.create.topics": False,
        }

    def consumer(self, group: str) -> ClientConfig:
        """Options of a group member whose true position lives in the service's database.

        Offsets stored by the member are committed once a second: a hint for lag tools, not the
        truth. The fetch queue is kept small (memory) and refilled quickly (the default backoff of
        one second halts a busy consumer).
        """
        return {
            **self.admin(),
            "group.id": group,
            "group.protocol": "consumer",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": True,
            "auto.commit.interval.ms": 1_000,
            "enable.auto.offset.store": False,
            "fetch.wait.max.ms": 100,
            "queued.min.messages": 4_000,
            "queued.max.messages.kbytes": 8_192,
            "fetch.queue.backoff.ms": 10,
            "allow.auto.create.topics": False,
        }


def topic_names(environ: Mapping[str, str], prefix: str = "TOPIC_") -> dict[str, str]:
    """Logical name → Kafka name, from `TOPIC_<NAME>` (or `DLQ_<NAME>`) variables."""
    return {
        name.removeprefix(prefix).lower().replace("_", "-"): value
        for name, value in environ.items()
        if name.startswith(prefix) and value
    }
