"""What the platform chart makes of Postgres: who may do what in a service's database."""

from contextlib import closing

import psycopg2
import pytest

from charts.platform_servers import PreparedPostgres

OWNER_OF = "SELECT tableowner FROM pg_tables WHERE tablename = %s"


def test_application_user_writes_what_the_owner_made(platform_postgres: PreparedPostgres) -> None:
    with closing(platform_postgres.connect("orders")) as connection:
        platform_postgres.query(connection, "INSERT INTO orders (note) VALUES ('one')")
        platform_postgres.query(connection, "UPDATE orders SET note = 'two'")
        assert platform_postgres.query(connection, "SELECT note FROM orders WHERE note = 'two'")
        assert platform_postgres.query(connection, OWNER_OF, "orders") == ["orders_owner"]


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE mine (id int)", "DROP TABLE orders", "CREATE ROLE other", "CREATE SCHEMA mine"],
)
def test_application_user_changes_no_schema_as_itself(
    platform_postgres: PreparedPostgres, statement: str
) -> None:
    with (
        closing(platform_postgres.connect("orders")) as connection,
        pytest.raises(psycopg2.Error, match=r"permission denied|must be owner"),
    ):
        platform_postgres.query(connection, statement)


def test_application_user_uses_schemas_that_the_owner_makes(
    platform_postgres: PreparedPostgres,
) -> None:
    with closing(platform_postgres.connect("stock")) as connection:
        platform_postgres.query(connection, "SET ROLE stock_owner")
        platform_postgres.query(connection, "CREATE SCHEMA more")
        platform_postgres.query(connection, "CREATE TABLE more.things (id int)")
        platform_postgres.query(connection, "RESET ROLE")
        assert platform_postgres.query(connection, "SELECT count(*) FROM more.things") == [0]


def test_superuser_is_refused_over_the_network(platform_postgres: PreparedPostgres) -> None:
    with pytest.raises(psycopg2.OperationalError, match="rejects connection"):
        platform_postgres.connect("orders", user="postgres")


def test_a_password_that_changed_replaces_the_old_one(platform_postgres: PreparedPostgres) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        platform_postgres.connect("orders", password="of an earlier installation")
