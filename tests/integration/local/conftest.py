"""Programs for the local runtime's backing servers; each test starts servers of its own."""

import os
from pathlib import Path

import pytest

from eventpipeline_operator.adapters.local.backing.packages import KafkaPrograms
from servers.kafka import find_java
from servers.local import find_artifact
from servers.postgres import find_binaries


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory that root's servers, which run as somebody else, can get to."""
    if os.geteuid() == 0:
        for folder in (tmp_path, *tmp_path.parents[:2]):
            folder.chmod(folder.stat().st_mode | 0o011)
    return tmp_path


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
