"""The servers of a fault run and everything that stands in front of them."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg2
import requests
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from faults.edge import Edge
from faults.layout import SERVICES, Role, Site, all_topics, build_environment
from faults.mailsink import MailSink
from faults.proxy import Proxy
from servers.kafka import KafkaServer, find_java
from servers.local import find_artifact, free_port
from servers.postgres import PostgresServer, find_binaries
from servers.waiting import wait_for

SESSION_SECONDS = 4.0
_DISK_MEGABYTES = 3_000

# Every move of a stored position, so that the checker can ask whether each record took effect in
# exactly one transaction. `faults` is the application name of the injector itself.
_AUDIT = """
CREATE TABLE fault_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer_group text, topic_id text, topic text, partition integer, before bigint, after bigint,
    by_injector boolean
);
CREATE FUNCTION fault_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fault_audit (consumer_group, topic_id, topic, partition, before, after, by_injector)
    VALUES (NEW.consumer_group, NEW.topic_id, NEW.topic, NEW.partition,
            CASE WHEN TG_OP = 'UPDATE' THEN OLD.next_offset END, NEW.next_offset,
            current_setting('application_name') = 'faults');
    RETURN NULL;
END $$;
CREATE TRIGGER fault_note AFTER INSERT OR UPDATE ON consumer_offset
    FOR EACH ROW EXECUTE FUNCTION fault_note();
"""


class Missing(Exception):  # something that this machine has not got
    """A fault run cannot start here; the message says what to do."""


@dataclass(frozen=True)
class Gates:
    """The proxies, by what is behind them."""

    postgres: Proxy
    kafka: Proxy
    smtp: Proxy


class Stack:
    """Kafka, Postgres, the mail server, and a proxy before each of them."""

    def __init__(self, directory: Path) -> None:
        java, binaries, jars = find_java(), find_binaries(), find_artifact("kafka")
        if java is None or binaries is None:
            raise Missing("Java and PostgreSQL are needed: `make setup` installs them")
        if isinstance(jars, str):
            raise Missing(jars)
        self._directory = directory
        self._disk = directory / "postgres"
        self._disk.mkdir(parents=True)
        self.disk_is_small = _mount(self._disk)
        (directory / "kafka").mkdir()
        self.edge = Edge()
        kafka_gate = Proxy("kafka", 0)
        self.edge.run(kafka_gate.start())
        self.kafka = KafkaServer(
            java, jars / "libs", directory / "kafka", _broker_settings(kafka_gate.port)
        )
        kafka_gate.target = self.kafka.port
        (self._disk / "server").mkdir()
        # Not on the disk that is filled: what Postgres says of it would be lost with it.
        self._postgres_log = directory / "postgres.log"
        (self._disk / "server" / "postgres.log").symlink_to(self._postgres_log)
        self.postgres = PostgresServer(binaries, self._disk / "server")
        self.mail = MailSink(directory / "mails.jsonl")
        self.edge.run(self.mail.start())
        self.gates = Gates(
            Proxy("postgres", self.postgres.port), kafka_gate, Proxy("smtp", self.mail.port)
        )
        self.databases: Mapping[str, str] = {}

    def start(self) -> None:
        """Servers, databases, topics."""
        self.edge.run(self.gates.postgres.start())
        self.edge.run(self.gates.smtp.start())
        self.kafka.start()
        self.postgres.start()
        self.databases = {name: self.postgres.create_database(name) for name in SERVICES}
        with contextlib.closing(psycopg2.connect(self.databases["order"])) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
                cursor.execute("SELECT pg_reload_conf()")
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers})
        made = admin.create_topics([NewTopic(name, n, 1) for name, n in all_topics().items()])
        for future in made.values():
            future.result(30)

    def site(self, mutation: str | None) -> Site:
        """What the services are told: the proxies, never the servers."""
        direct, gate = f":{self.postgres.port}/", f":{self.gates.postgres.port}/"
        return Site(
            kafka=f"127.0.0.1:{self.gates.kafka.port}",
            databases={name: url.replace(direct, gate) for name, url in self.databases.items()},
            smtp_port=self.gates.smtp.port,
            api_ports={name: free_port() for name in SERVICES},
            directory=self._directory,
            mutation=mutation,
        )

    def migrate(self, site: Site) -> None:
        """Run each service's migrations, then watch over its stored positions."""
        for name, url in self.databases.items():
            self.command(site, name, "migrate")
            with contextlib.closing(psycopg2.connect(url)) as connection, connection:
                connection.cursor().execute(_AUDIT)

    def command(self, site: Site, service: str, command: str, *arguments: str) -> None:
        """A command of a service that ends by itself."""
        ended = subprocess.run(
            [sys.executable, "-m", f"{service}_service", command, *arguments],
            env=build_environment(Role(service, "api", command), site, command),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if ended.returncode:
            raise RuntimeError(f"{service} {command}: {ended.stdout}{ended.stderr}")

    def fill_disk(self) -> None:
        """Leave Postgres not one free block: the disk shrinks to what is on it."""
        wait_for("a full disk", self._shrink_disk, seconds=5, interval=0)

    def _shrink_disk(self) -> bool:
        """False if Postgres wrote between the look and the remount: that disk was too small."""
        used = shutil.disk_usage(self._disk).used
        return _resize(self._disk, f"{used // 1024}k")

    def empty_disk(self) -> None:
        """Give the space back."""
        if not _resize(self._disk, f"{_DISK_MEGABYTES}m"):
            raise RuntimeError(f"{self._disk} did not become larger")

    def disk_complaints(self) -> int:
        """How often Postgres met the full disk."""
        return self._postgres_log.read_bytes().count(b"No space left on device")

    def revive_postgres(self) -> None:
        """Start it if a fault ended it."""
        if not self.postgres.is_running:
            self.postgres.stop(immediate=True)
            self.postgres.start()

    def close(self) -> None:
        """End everything and leave the logs."""
        for gate in (self.gates.postgres, self.gates.kafka, self.gates.smtp):
            self.edge.run(gate.stop())
        self.edge.run(self.mail.stop())
        self.edge.close()
        self.kafka.stop(kill=True)
        self.postgres.stop(immediate=True)
        shutil.rmtree(self._directory / "kafka" / "data", ignore_errors=True)
        if self.disk_is_small:
            _unmount(self._disk)
        shutil.rmtree(self._disk, ignore_errors=True)


def _broker_settings(gate: int) -> dict[str, str]:
    """Clients are sent to the proxy; a member that is silent for long is put out soon."""
    milliseconds = str(int(SESSION_SECONDS * 1_000))
    return {
        "advertised.listeners": f"CLIENT://127.0.0.1:{gate}",
        "group.consumer.min.session.timeout.ms": milliseconds,
        "group.consumer.session.timeout.ms": milliseconds,
        "group.consumer.min.heartbeat.interval.ms": "1000",
        "group.consumer.heartbeat.interval.ms": "1000",
        # A killed broker may come back only when its former self is given up.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }


def can_mount() -> bool:
    """Whether this user may give Postgres a small disk of its own."""
    with tempfile.TemporaryDirectory(prefix="eventpipeline-faults-") as folder:
        mounted = _mount(Path(folder))
        if mounted:
            _unmount(Path(folder))
    return mounted


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", folder], check=False)


def _mount(folder: Path) -> bool:
    """A disk of its own in memory, where this user may mount one."""
    options = f"size={_DISK_MEGABYTES}m,mode=0755"
    return os.geteuid() == 0 and _is_mounted("-t", "tmpfs", "-o", options, "tmpfs", folder)


def _resize(folder: Path, size: str) -> bool:
    """False if more lies on it than fits."""
    return _is_mounted("-o", f"remount,size={size}", folder)


def _is_mounted(*arguments: str | Path) -> bool:
    done = subprocess.run(["mount", *arguments], check=False, capture_output=True)
    return done.returncode == 0


def wait_for_apis(site: Site) -> None:
    """Until every API answers its readiness probe."""
    for name, port in site.api_ports.items():
        url = f"http://127.0.0.1:{port}/readyz"
        wait_for(f"{name}'s API", partial(_is_ready, url), seconds=60)


def _is_ready(url: str) -> bool:
    return requests.get(url, timeout=1).ok
