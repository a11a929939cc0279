"""One running shop for all tests of this folder."""

import secrets
from collections.abc import Iterator

import pytest

from servers.kafka import KafkaServer
from servers.postgres import PostgresServer
from shop.mailbox import Mailbox
from shop.processes import CONSUMES, Shop


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
    namespace = f"saga-{secrets.token_hex(3)}"
    running = Shop(
        namespace=namespace,
        bootstrap_servers=kafka.bootstrap_servers,
        databases={name: postgres.create_database(name) for name in CONSUMES},
        smtp_port=mailbox.port,
        logs=tmp_path_factory.mktemp(namespace),
    )
    running.prepare()
    running.start_all()
    yield running
    assert set(running.stop_all().values()) == {0}


@pytest.fixture
def product() -> str:
    return f"book-{secrets.token_hex(3)}"


@pytest.fixture
def customer() -> str:
    return f"ada-{secrets.token_hex(4)}@example.com"
