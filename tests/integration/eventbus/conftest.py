"""A database with eventbus' tables."""

from collections.abc import Iterator

import pytest

from eventbus.database import Database
from eventbus.schema import EVENT_LOG_V1, INBOX_V1, OUTBOX_V1, REDRIVE_V2
from servers.postgres import PostgresServer


@pytest.fixture
def database_url(postgres: PostgresServer) -> str:
    url = postgres.create_database("eventbus")
    database = Database(url, 1)
    with database.transaction() as cursor:
        cursor.execute(
            OUTBOX_V1 + INBOX_V1 + EVENT_LOG_V1 + REDRIVE_V2 + "CREATE TABLE effect (n int);"
        )
    database.close()
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, 4)
    yield database
    database.close()
