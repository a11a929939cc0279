"""Programs for the local runtime's backing servers; each test starts servers of its own."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from eventpipeline_operator.adapters.local.backing.packages import KafkaPrograms
from eventpipeline_operator.adapters.local.backing.postgres import PostgresServer
from servers.kafka import find_java
from servers.local import find_artifact
from servers.postgres import find_binaries


@contextmanager
def open_directory() -> Iterator[Path]:
    """One that root's servers, which run as somebody else, can get to: pytest closes its own."""
    with tempfile.TemporaryDirectory(prefix="eventpipeline-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


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
