"""Every service's migrations against real Postgres."""

import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg2
import pytest

from eventbus.migrations import migrate
from servers.local import REPOSITORY
from servers.postgres import PostgresServer
from servers.waiting import wait_for

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


def test_an_index_is_built_while_the_old_version_writes(postgres: PostgresServer) -> None:
    """A transaction that has written stays open: nothing may wait for it but the index itself."""
    url = postgres.create_database("order")
    migrate_to(url, "0002")
    old = psycopg2.connect(url)
    old.cursor().execute(INSERT_ORDER)
    with ThreadPoolExecutor(1) as pool:
        migration = pool.submit(migrate, folder("order"), {"DATABASE_URL": url})
        wait_for("the index to be begun", lambda: indexes(url, valid=False))
        another = psycopg2.connect(url)
        another.cursor().execute("SET lock_timeout = '1s'")
        another.cursor().execute(INSERT_ORDER)
        another.commit()
        another.close()
        assert not migration.done()
        old.commit()
        migration.result(60)
    old.close()
    assert indexes(url, valid=True) == FILTERS


def test_an_index_that_was_left_half_done_is_built_anew(postgres: PostgresServer) -> None:
    url = postgres.create_database("order")
    migrate_to(url, "0002")
    admin = psycopg2.connect(url)
    admin.autocommit = True
    cursor = admin.cursor()
    cursor.execute("CREATE INDEX orders_by_product ON orders (product, order_id)")
    cursor.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_by_product'::regclass"
    )
    admin.close()
    migrate(folder("order"), {"DATABASE_URL": url})
    assert indexes(url, valid=True) == FILTERS


FILTERS = {"orders_by_status", "orders_by_product", "orders_by_customer"}
INSERT_ORDER = """
INSERT INTO orders (order_id, product, quantity, customer_email, status, version, created_at)
VALUES (gen_random_uuid(), 'book', 1, 'ada@example.com', 'PENDING', 1, now())
"""


def migrate_to(url: str, revision: str) -> None:
    """As an older release left it: with the migrations that it knew."""
    with tempfile.TemporaryDirectory() as old:
        versions = Path(old) / "versions"
        versions.mkdir()
        for path in folder("order").glob("versions/*.py"):
            if path.name <= f"{revision}_~":
                shutil.copy(path, versions)
        migrate(Path(old), {"DATABASE_URL": url})


def indexes(url: str, *, valid: bool) -> set[str]:
    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    cursor.execute(
        "SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid"
        " WHERE relname LIKE 'orders_by_%%' AND indisvalid = %s",
        [valid],
    )
    found = {row[0] for row in cursor.fetchall()}
    connection.close()
    return found
