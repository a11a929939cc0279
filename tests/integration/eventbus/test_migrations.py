"""Every service's migrations against real Postgres."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest

from eventbus.migrations import migrate
from servers.local import REPOSITORY
from servers.postgres import PostgresServer

SERVICES = ["order", "stock", "email"]


def folder(service: str) -> Path:
    return REPOSITORY / f"services/{service}/src/{service}_service/migrations"


def owners(url: str) -> set[str]:
    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    cursor.execute("SELECT tableowner FROM pg_tables WHERE schemaname = 'public'")
    found = {row[0] for row in cursor.fetchall()}
    connection.close()
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_migrating_twice_is_migrating_once(postgres: PostgresServer, service: str) -> None:
    environ = {"DATABASE_URL": postgres.create_database(service)}
    migrate(folder(service), environ)
    migrate(folder(service), environ)
    assert owners(environ["DATABASE_URL"]) == {"postgres"}


def test_jobs_that_meet_wait_for_each_other(postgres: PostgresServer) -> None:
    environ = {"DATABASE_URL": postgres.create_database("order")}
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: migrate(folder("order"), environ), range(4)))


def test_tables_belong_to_the_stable_owner(postgres: PostgresServer) -> None:
    url = postgres.create_database("stock")
    name = url.rpartition("/")[2]
    admin = psycopg2.connect(url)
    admin.autocommit = True
    admin.cursor().execute(
        f'CREATE ROLE "{name}_owner"; CREATE ROLE "{name}_login" LOGIN IN ROLE "{name}_owner";'
        f'GRANT CREATE ON SCHEMA public TO "{name}_owner"'
    )
    admin.close()
    login = url.replace("postgres@", f"{name}_login@")
    migrate(folder("stock"), {"DATABASE_URL": login, "DATABASE_OWNER": f"{name}_owner"})
    assert owners(url) == {f"{name}_owner"}
