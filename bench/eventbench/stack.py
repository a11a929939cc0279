"""The shop as local processes: real servers, one set of databases and topics per scenario.

Everything listens on 127.0.0.1 and ends with the block that started it.
"""

import http.client
import secrets
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from eventbench.environment import ROLES, SERVICES, Site, build_environment
from eventbench.processes import Child
from servers.kafka import LONG_RUN, KafkaServer, find_java
from servers.local import answers, find_artifact, free_port
from servers.postgres import PostgresServer, find_binaries
from servers.waiting import wait_for

BENCH = Path(__file__).resolve().parents[1]
_ROLES = {role.name: role for role in ROLES}


class MissingPartError(Exception):
    """Something that the stack stands on is not installed; the text says how to get it."""


class Sinks:
    """The process in which mails and spans end, and its record of mails."""

    def __init__(self, directory: Path) -> None:
        self.smtp_port = free_port()
        self.zipkin_port = free_port()
        self.record = directory / "mails.tsv"
        self.record.touch()
        command = [
            *(sys.executable, "-m", "eventbench.sinks", "--record", str(self.record)),
            *("--smtp-port", str(self.smtp_port), "--zipkin-port", str(self.zipkin_port)),
        ]
        self.child = Child("sinks", command, {"PYTHONPATH": str(BENCH)}, directory / "sinks.log")
        wait_for("the mail sink", lambda: answers(self.smtp_port))


# A server for hundreds of thousands of orders, whose buffers hold them. It keeps the time of each
# commit, which latencies need.
POSTGRES = {
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "track_commit_timestamp": "on",
}


class Stack:
    """The servers that every scenario shares."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        binaries, java, jars = find_binaries(), find_java(), find_artifact("kafka")
        if binaries is None or java is None:
            raise MissingPartError(
                "PostgreSQL or Java is not installed: `make setup` installs them"
            )
        if isinstance(jars, str):
            raise MissingPartError(jars)
        self.postgres = PostgresServer(binaries, self._directory_of("postgres"), POSTGRES)
        self.kafka = KafkaServer(java, jars / "libs", self._directory_of("kafka"), jvm=LONG_RUN)

    def _directory_of(self, server: str) -> Path:
        directory = self.directory / "servers" / server
        directory.mkdir(parents=True)
        return directory

    def start(self) -> None:
        """Start both servers."""
        self.postgres.start()
        self.kafka.start()

    def stop(self) -> None:
        """End both servers."""
        self.kafka.stop()
        self.postgres.stop()

    @contextmanager
    def shop(self) -> Iterator["Shop"]:
        """A fresh installation: databases migrated, topics made, nothing started."""
        token = secrets.token_hex(3)
        directory = self.directory / f"shop-{token}"
        directory.mkdir()
        sinks = Sinks(directory)
        site = Site(
            prefix=f"bench-{token}",
            kafka=self.kafka.bootstrap_servers,
            databases={service: self.postgres.create_database(service) for service in SERVICES},
            smtp_port=sinks.smtp_port,
            zipkin_port=sinks.zipkin_port,
        )
        pids = {"postgres": self.postgres.pid, "kafka": self.kafka.pid}
        shop = Shop(site, sinks, directory, {name: pid for name, pid in pids.items() if pid})
        try:
            shop.migrate()
            shop.make_topics()
            yield shop
        finally:
            shop.stop()
            sinks.child.stop()


class Shop:
    """One installation; its processes are started and stopped by role name."""

    def __init__(
        self, site: Site, sinks: Sinks, directory: Path, server_pids: Mapping[str, int]
    ) -> None:
        self.site = site
        self.sinks = sinks
        self.server_pids = server_pids
        self.directory = directory
        self.children: dict[str, Child] = {}
        self._ports = {name: free_port() for name in _ROLES}

    def migrate(self) -> None:
        """Run each service's migrations to their end."""
        for service in SERVICES:
            environment = build_environment(_ROLES[f"{service}.api"], self.site, free_port())
            log = self.directory / f"{service}.migrate.log"
            child = Child("migrate", _command(service, ["migrate"]), environment, log)
            try:
                code = child.wait(60)
            finally:
                child.stop()
            if code != 0:
                raise RuntimeError(f"migration of {service} failed:\n{log.read_text()[-2000:]}")

    def make_topics(self) -> None:
        """Create every topic and wait until all exist."""
        admin = AdminClient({"bootstrap.servers": self.site.kafka})
        topics = [
            NewTopic(name, num_partitions=partitions, replication_factor=1)
            for name, partitions in self.site.all_topics().items()
        ]
        for future in admin.create_topics(topics).values():
            future.result(30)

    def url(self, service: str) -> str:
        """The base URL of a service's API."""
        return f"http://127.0.0.1:{self._ports[f'{service}.api']}"

    def start(self, names: Iterable[str] | None = None, *, wait: bool = True) -> None:
        """Start processes (all that do not run yet) and wait until each is ready."""
        wanted = [name for name in (names or _ROLES) if name not in self.children]
        for name in wanted:
            role, port = _ROLES[name], self._ports[name]
            command = _command(role.service, role.arguments)
            environment = build_environment(role, self.site, port)
            self.children[name] = Child(name, command, environment, self.directory / f"{name}.log")
        for name in wanted if wait else ():
            self.wait_ready(name)

    def wait_ready(self, name: str) -> float:
        """Until /readyz says so; answers the seconds since the process was started."""
        child = self.children[name]

        def ready() -> bool:
            if child.ended() is not None:
                raise RuntimeError(f"{name} ended:\n{child.log.read_text()[-2000:]}")
            return _is_ready(self._ports[name])

        wait_for(f"{name} to be ready ({child.log})", ready, seconds=60, interval=0.01)
        return time.monotonic() - child.started_at

    def stop(self, names: Iterable[str] | None = None) -> None:
        """End processes (all of them), at the same time."""
        ending = [self.children.pop(name) for name in list(names or self.children)]
        for child in ending:
            child.ask_to_stop()
        for child in ending:
            child.stop()

    def ended(self) -> list[str]:
        """Processes that should run and do not."""
        return [name for name, child in self.children.items() if child.ended() is not None]


@contextmanager
def running_stack() -> Iterator[Stack]:
    """The servers, in a directory that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="eventbench-") as directory:
        base = Path(directory)
        base.chmod(0o755)  # the database's own user must be able to enter
        stack = Stack(base)
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()


def _command(service: str, arguments: Iterable[str]) -> list[str]:
    return [sys.executable, "-m", f"{service}_service", *arguments]


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
