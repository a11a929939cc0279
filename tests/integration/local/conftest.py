"""Programs for the local runtime's backing servers; each test starts servers of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from eventpipeline_operator.adapters.local.backing.packages import KafkaPrograms
from eventpipeline_operator.adapters.local.backing.postgres import PostgresServer
from integration.local.users import Users
from servers.kafka import find_java
from servers.local import find_artifact, open_directory
from servers.postgres import find_binaries


@pytest.fixture
def directory() -> Iterator[Path]:
    with open_directory() as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def postgres_server(postgres_programs: Path) -> AsyncIterator[PostgresServer]:
    """One server for the tests of a module."""
    with open_directory() as made:
        server = PostgresServer(postgres_programs, made / "postgres")
        await server.start()
        yield server
        await server.stop()


@pytest.fixture
def postgres_lets_in(postgres_server: PostgresServer) -> Users:
    return Users(postgres_server)


@pytest.fixture(scope="session")
def postgres_programs() -> Path:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: `make setup-tests` installs it")
    return binaries


@pytest.fixture(scope="session")
def kafka_programs() -> KafkaPrograms:
    java = find_java()
    home = find_artifact("kafka")
    if java is None:
        pytest.skip("Java is not installed: `make setup-tests` installs it")
    if isinstance(home, str):
        pytest.skip(home)
    return KafkaPrograms(java, home / "libs")
