"""A real single-node Kafka (KRaft) for one test session, on 127.0.0.1 only."""

import base64
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient

from servers.local import free_port, stop_process
from servers.waiting import wait_for

ADMIN, ADMIN_PASSWORD = "admin", "only-for-tests"
"""Who may do everything where a test's broker has an authorizer."""

LONG_RUN = ("-Xmx384m", "-XX:+UseSerialGC")
# Compiled at once and never well: what lives for seconds is ready sooner so.
SHORT_RUN = (*LONG_RUN, "-XX:TieredStopAtLevel=1")


def find_java() -> Path | None:
    """The Java that runs Kafka, None where there is none."""
    on_path = shutil.which("java")
    return Path(on_path) if on_path else None


@dataclass(frozen=True)
class SecureListener:
    """A further listener that demands TLS and a SCRAM login; `certificate` is key and chain."""

    certificate: Path
    username: str
    password: str


KafkaRunner = Callable[..., AbstractContextManager["KafkaServer"]]
"""Starts a broker in a directory of that name, with `settings` and `secure` if wished; stops it."""


class KafkaServer:
    """One broker that is its own controller; `stop` and `start` keep its data."""

    def __init__(
        self,
        java: Path,
        jars: Path,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        secure: SecureListener | None = None,
        jvm: Sequence[str] = SHORT_RUN,
    ) -> None:
        self._java = java
        self._jvm = jvm
        self._extra = dict(settings or {})
        self._classpath = f"{jars}/*"
        self.directory = directory
        self._properties = directory / "server.properties"
        self._log = directory / "kafka.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._controller_port = free_port()
        self._secure = secure
        self._secure_port = free_port()

    @property
    def bootstrap_servers(self) -> str:
        """Where clients find it."""
        return f"127.0.0.1:{self.port}"

    @property
    def secure_servers(self) -> str:
        """Where clients with a login find it."""
        return f"127.0.0.1:{self._secure_port}"

    @property
    def pid(self) -> int | None:
        """The server's first process, None while it is stopped."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Formats the storage on first use, then starts the broker and waits until it answers."""
        if not self._properties.exists():
            self._format()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", self._properties), stdout=log, stderr=log
            )
        wait_for(f"Kafka at {self.bootstrap_servers} ({self._log})", self._answers, seconds=90)

    def stop(self, *, kill: bool = False) -> None:
        """Stops the broker: cleanly, or as a power cut would."""
        if self._process is None:
            return
        if kill:
            self._process.kill()
            self._process.wait()
        else:
            stop_process(self._process, seconds=30)
        self._process = None

    def _format(self) -> None:
        listeners = f"CLIENT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self._controller_port}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": listeners,
            "advertised.listeners": f"CLIENT://127.0.0.1:{self.port}",
            "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "CLIENT",
            "log.dirs": str(self.directory / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            # A killed member is missed after seconds, not after the default 45.
            "group.consumer.session.timeout.ms": "6000",
            "group.consumer.min.session.timeout.ms": "6000",
            "group.consumer.heartbeat.interval.ms": "1000",
            "group.consumer.min.heartbeat.interval.ms": "1000",
            **self._extra,
        }
        users: list[str | Path] = []
        if self._secure:
            settings["listeners"] += f",SECURE://{self.secure_servers}"
            settings["advertised.listeners"] += f",SECURE://{self.secure_servers}"
            settings["listener.security.protocol.map"] += ",SECURE:SASL_SSL"
            settings["sasl.enabled.mechanisms"] = "SCRAM-SHA-512"
            module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            settings["listener.name.secure.scram-sha-512.sasl.jaas.config"] = module
            settings["ssl.keystore.type"] = "PEM"
            settings["ssl.keystore.location"] = str(self._secure.certificate)
            login = f"name={self._secure.username},password={self._secure.password}"
            users = ["--add-scram", f"SCRAM-SHA-512=[{login}]"]
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        # An id that began with a dash would be read as an option.
        cluster = f"K{base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip('=')[1:]}"
        subprocess.run(
            self._command(
                "kafka.tools.StorageTool", "format", "-t", cluster, "-c", self._properties, *users
            ),
            check=True,
            capture_output=True,
        )

    def _command(self, main: str, *arguments: str | Path) -> list[str | Path]:
        return [self._java, *self._jvm, "-cp", self._classpath, main, *arguments]

    def _answers(self) -> bool:
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        return bool(admin.list_topics(timeout=2).brokers)
