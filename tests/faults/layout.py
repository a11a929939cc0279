"""Which processes a fault run starts, and what each of them is told."""

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX = "faults.shop"
PARTITIONS = 4
TOPICS = ("orders", "stock-commands", "stock-events")
SERVICES = ("order", "stock", "email")
LEASE_SECONDS = 8
SMTP_TIMEOUT_SECONDS = 4
_THREADS_PER_SENDER = 2


@dataclass(frozen=True)
class Role:
    """One kind of process; several replicas of it may run."""

    service: str
    worker: str
    command: str
    replicas: int = 1
    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As in failpoints: `order.relay`."""
        return f"{self.service}.{self.worker}"

    @property
    def group(self) -> str:
        """The consumer group, for those that consume."""
        return f"{PREFIX}.{self.service}.{self.worker}"


# Two of each consumer, so that a zombie has a rival; two relays, so that one stands by.
ROLES = (
    Role("order", "api", "api"),
    Role("order", "relay", "relay", 2, produces=("orders", "stock-commands")),
    Role("order", "consumer", "consume", 2, consumes=("stock-events",)),
    Role("order", "sweeper", "sweep"),
    Role("order", "stats", "stats", 2, consumes=("orders",)),
    Role("stock", "api", "api"),
    Role("stock", "relay", "relay", produces=("stock-events",)),
    Role("stock", "consumer", "consume", 2, consumes=("stock-commands",)),
    Role("email", "api", "api"),
    Role("email", "consumer", "consume", 2, consumes=("orders",)),
    Role("email", "sender", "send", 2),
    Role("email", "relay", "relay"),
)

SENDING_THREADS = _THREADS_PER_SENDER * sum(
    role.replicas for role in ROLES if role.name == "email.sender"
)


def readers_of(kafka_name: str) -> list[str]:
    """The services that consume a topic."""
    return [role.service for role in ROLES if kafka_name in map(topic, role.consumes)]


def topic(name: str) -> str:
    """The Kafka name of a topic."""
    return f"{PREFIX}.{name}"


def dead_letter_topic(name: str, service: str) -> str:
    """Where a service puts the records of a topic aside."""
    return f"{topic(name)}.{service}.dlq"


def all_topics() -> dict[str, int]:
    """Kafka name → partitions."""
    named = {topic(name): PARTITIONS for name in TOPICS}
    letters = {dead_letter_topic(name, role.service): 1 for role in ROLES for name in role.consumes}
    return named | letters


@dataclass(frozen=True)
class Site:
    """Where the processes find their servers: all of it proxies."""

    kafka: str
    databases: Mapping[str, str]
    smtp_port: int
    api_ports: Mapping[str, int]
    directory: Path
    mutation: str | None = None

    @property
    def sources(self) -> Path:
        """What the processes run: a copy, so that nobody changes it under them."""
        return self.directory / "sources"


def build_environment(role: Role, site: Site, pod: str) -> dict[str, str]:
    """Everything that one process is told; nothing is inherited."""
    environment = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(site.sources),
        "FAULTS_DIRECTORY": str(site.directory),
        "PIPELINE": "shop",
        "SERVICE": role.service,
        "POD_NAME": pod,
        "LOG_LEVEL": "info",
        "DATABASE_URL": site.databases[role.service],
        "OTEL_TRACES_EXPORTER": "none",
        "HTTP_PROCESSES": "1",
        "HTTP_THREADS": "4",
        "DRAIN_SECONDS": "0",
        "SENDER_THREADS": str(_THREADS_PER_SENDER),
        "MAIL_LEASE_SECONDS": str(LEASE_SECONDS),
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(site.smtp_port),
        "SMTP_SECURITY": "none",
        "SMTP_TIMEOUT_SECONDS": str(SMTP_TIMEOUT_SECONDS),
        # What waits is lost: a reminder would hide it.
        "SWEEP_REMIND_SECONDS": "86400",
        "SWEEP_CANCEL_SECONDS": "86400",
    }
    if site.mutation:
        environment["FAULTS_MUTATION"] = site.mutation
    if role.worker == "api":
        return environment | {"PORT": str(site.api_ports[role.service])}
    environment |= {"WORKER": role.worker, "KAFKA_BOOTSTRAP_SERVERS": site.kafka}
    for name in (*role.produces, *role.consumes):
        environment[f"TOPIC_{_upper(name)}"] = topic(name)
    for name in role.consumes:
        environment[f"DLQ_{_upper(name)}"] = dead_letter_topic(name, role.service)
        environment["CONSUMER_GROUP"] = role.group
    return environment


def copy_sources(repository: Path, site: Site) -> None:
    """Services, eventbus and the launcher as they are now."""
    shutil.copytree(repository / "tests" / "faults", site.sources / "faults")
    for source in (*repository.glob("services/*/src/*"), *repository.glob("libs/*/src/*")):
        shutil.copytree(source, site.sources / source.name)


def build_command(role: Role) -> list[str]:
    """The command line of one process."""
    return [sys.executable, "-m", "faults.launch", f"{role.service}_service", role.command]


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")
