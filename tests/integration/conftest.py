"""Real servers as local processes, once per session; a test takes what it needs by name."""

from collections.abc import Iterator

import pytest

from servers.kafka import KafkaServer, find_java
from servers.local import find_artifact
from servers.postgres import PostgresServer, find_binaries


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: `make setup-tests` installs it")
    server = PostgresServer(binaries, tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    java = find_java()
    jars = find_artifact("kafka")
    if java is None:
        pytest.skip("Java is not installed: `make setup-tests` installs it")
    if isinstance(jars, str):
        pytest.skip(jars)
    server = KafkaServer(java, jars / "libs", tmp_path_factory.mktemp("kafka"))
    server.start()
    yield server
    server.stop()
