"""Real servers as local processes, once per session; a test takes what it needs by name."""

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from servers.kafka import KafkaRunner, KafkaServer, SecureListener, find_java
from servers.local import find_artifact
from servers.postgres import PostgresServer, find_binaries
from shop.mailbox import Mailbox
from shop.processes import Shop
from shop.running import running_shop


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: `make setup-tests` installs it")
    # pytest's own folders are root's alone, and every session that begins closes them anew.
    with tempfile.TemporaryDirectory(prefix="eventpipeline-postgres-") as directory:
        server = PostgresServer(binaries, Path(directory))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def run_kafka(tmp_path_factory: pytest.TempPathFactory) -> KafkaRunner:
    """For who wants a broker of its own; skips where none can run."""
    java, jars = find_java(), find_artifact("kafka")
    if java is None:
        pytest.skip("Java is not installed: `make setup-tests` installs it")
    if isinstance(jars, str):
        pytest.skip(jars)

    @contextmanager
    def run(
        name: str,
        settings: Mapping[str, str] | None = None,
        secure: SecureListener | None = None,
    ) -> Iterator[KafkaServer]:
        directory = tmp_path_factory.mktemp(name)
        server = KafkaServer(java, jars / "libs", directory, settings, secure)
        server.start()
        yield server
        server.stop()

    return run


@pytest.fixture(scope="session")
def kafka(run_kafka: KafkaRunner) -> Iterator[KafkaServer]:
    with run_kafka("kafka") as server:
        yield server


@pytest.fixture(scope="module")
def own_kafka(run_kafka: KafkaRunner) -> Iterator[KafkaServer]:
    """For modules that stop their broker: the session's must not be stopped under others."""
    with run_kafka("kafka") as server:
        yield server


@pytest.fixture(scope="session")
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    box.start()
    yield box
    box.stop()


@pytest.fixture(scope="session")
def shop(
    postgres: PostgresServer,
    kafka: KafkaServer,
    mailbox: Mailbox,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    logs = tmp_path_factory.mktemp("shop")
    with running_shop((postgres, kafka), mailbox, logs) as running:
        yield running


@pytest.fixture
def product() -> str:
    return f"book-{secrets.token_hex(3)}"


@pytest.fixture
def customer() -> str:
    return f"ada-{secrets.token_hex(4)}@example.com"
