"""One running shop for all tests of this folder."""

import secrets
from collections.abc import Iterator

import pytest

from servers.kafka import KafkaServer
from servers.postgres import PostgresServer
from shop.mailbox import Mailbox
from shop.processes import Shop
from shop.running import running_shop


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
