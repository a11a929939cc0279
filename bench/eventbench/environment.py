"""What each process of the three services is told, as the operator would tell it.

The table of workers is that of `examples/shop.yaml`; names follow the contract of
`docs/service-contract.md`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

TOPICS = MappingProxyType({"orders": 6, "stock-commands": 6, "stock-events": 6})


@dataclass(frozen=True)
class Role:
    """One process of a service: its API (no worker), or a worker."""

    service: str
    worker: str | None
    arguments: tuple[str, ...]
    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As in tables: `order.api`, `order.relay`."""
        return f"{self.service}.{self.worker or 'api'}"


ROLES = (
    Role("order", None, ("api",)),
    Role("order", "relay", ("relay", "sweep"), produces=("orders", "stock-commands")),
    Role("order", "consumer", ("consume", "stats"), consumes=("stock-events", "orders")),
    Role("stock", None, ("api",)),
    Role("stock", "relay", ("relay",), produces=("stock-events",)),
    Role("stock", "consumer", ("consume",), consumes=("stock-commands",)),
    Role("email", None, ("api",)),
    Role("email", "consumer", ("consume", "relay"), consumes=("orders",)),
    Role("email", "sender", ("send",)),
)

SERVICES = ("order", "stock", "email")


@dataclass(frozen=True)
class Site:
    """Where one installation of the shop finds everything."""

    prefix: str
    kafka: str
    databases: Mapping[str, str]
    smtp_port: int
    zipkin_port: int
    sample_ratio: float = 0.1

    def topic(self, name: str) -> str:
        """The Kafka name of a topic."""
        return f"{self.prefix}.shop.{name}"

    def dead_letters(self, name: str, service: str) -> str:
        """The Kafka name of a consumed topic's dead-letter topic."""
        return f"{self.topic(name)}.{service}.dlq"

    def all_topics(self) -> dict[str, int]:
        """Kafka name → partitions, dead letters included."""
        named = {self.topic(name): partitions for name, partitions in TOPICS.items()}
        letters = {
            self.dead_letters(name, role.service): 1 for role in ROLES for name in role.consumes
        }
        return named | letters


def build_environment(role: Role, site: Site, port: int) -> dict[str, str]:
    """All variables of one process; nothing is inherited."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PIPELINE": "shop",
        "SERVICE": role.service,
        "POD_NAME": f"bench-{role.service}-{role.worker or 'api'}",
        "LOG_LEVEL": "info",
        "DATABASE_URL": site.databases[role.service],
        "OTEL_SERVICE_NAME": role.service,
        "OTEL_TRACES_EXPORTER": "zipkin",
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT": f"http://127.0.0.1:{site.zipkin_port}/api/v2/spans",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(site.sample_ratio),
        "DRAIN_SECONDS": "0",  # nobody is routed here who would have to notice
    }
    if role.worker is None:
        processes = {} if role.service == "order" else {"HTTP_PROCESSES": "1"}
        return environment | {"PORT": str(port)} | processes | _mail(role, site)
    environment |= {
        "WORKER": role.worker,
        "METRICS_PORT": str(port),
        "KAFKA_BOOTSTRAP_SERVERS": site.kafka,
    }
    for name in (*role.produces, *role.consumes):
        environment[f"TOPIC_{_upper(name)}"] = site.topic(name)
    for name in role.consumes:
        environment[f"DLQ_{_upper(name)}"] = site.dead_letters(name, role.service)
        environment["CONSUMER_GROUP"] = f"{site.prefix}.shop.{role.service}.{role.worker}"
    return environment | _mail(role, site)


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")


def _mail(role: Role, site: Site) -> dict[str, str]:
    if role.service != "email":
        return {}
    return {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(site.smtp_port),
        "MAIL_FROM": "shop@example.com",
    }
