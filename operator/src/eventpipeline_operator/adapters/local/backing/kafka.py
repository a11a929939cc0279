"""A Kafka of one node on 127.0.0.1, broker and controller in one small Java process."""

import asyncio
import base64
import uuid
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from eventpipeline_operator.adapters.local.backing.packages import KafkaPrograms
from eventpipeline_operator.adapters.local.backing.ports import HOST, choose_port
from eventpipeline_operator.adapters.local.backing.process import (
    BackingServer,
    ServerProcess,
    run_program,
)

PORT = 9092
READY_SECONDS = 120.0
# One compiler and one collector thread: half the memory, and no slower at this size.
JAVA = ("-Xms96m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xss512k")
LOGGING = "-Dlog4j2.level=WARN"


class KafkaServer(BackingServer):
    """The broker; its topics and its cluster id stay in the directory."""

    name = "kafka"
    stop_seconds = 20.0

    def __init__(self, programs: KafkaPrograms, directory: Path, port: int = PORT) -> None:
        super().__init__(ServerProcess("Kafka", directory / "kafka.log"))
        self._programs = programs
        self._directory = directory
        self._properties = directory / "server.properties"
        self.port = port

    @property
    def bootstrap_servers(self) -> str:
        """Where clients find it, true once it has been started."""
        return f"{HOST}:{self.port}"

    async def start(self) -> None:
        """Start it, formatting its storage before the first time, and wait until it answers."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self.port = choose_port(self.port)
        controller = choose_port(self.port + 1, but_not=(self.port,))
        settings = build_settings(self._directory / "data", self.port, controller)
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        if not (self._directory / "data" / "meta.properties").exists():
            arguments = ("format", "-t", _new_cluster_id(), "-c", self._properties)
            await run_program(self._command("kafka.tools.StorageTool", *arguments), self.log)
        await self._process.start(self._command("kafka.Kafka", self._properties))
        await self._process.wait_until(self._answers, READY_SECONDS)

    def _command(self, main: str, *arguments: str | Path) -> list[str | Path]:
        classpath = f"{self._programs.jars}/*"
        return [self._programs.java, *JAVA, LOGGING, "-cp", classpath, main, *arguments]

    async def _answers(self) -> bool:
        return await asyncio.to_thread(has_broker, self.bootstrap_servers)


def has_broker(servers: str) -> bool:
    """Whether a cluster answers."""
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    try:
        return bool(admin.list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def build_settings(data: Path, port: int, controller: int) -> Mapping[str, str]:
    """The broker's configuration: one node, little memory, quick to notice a killed member."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listeners": f"CLIENT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"CLIENT://{HOST}:{port}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "CLIENT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "group.consumer.session.timeout.ms": "6000",
        "group.consumer.min.session.timeout.ms": "6000",
        "group.consumer.heartbeat.interval.ms": "1000",
        "group.consumer.min.heartbeat.interval.ms": "1000",
        "num.network.threads": "2",
        "num.io.threads": "2",
        "background.threads": "2",
        # The default takes half of the heap for compaction.
        "log.cleaner.dedupe.buffer.size": str(4 * 1024 * 1024),
        "log.index.size.max.bytes": str(1024 * 1024),
    }


def _new_cluster_id() -> str:
    # One that begins with a dash would be taken for an option.
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
