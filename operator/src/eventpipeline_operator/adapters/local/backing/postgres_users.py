"""Databases with the roles around them, and users that come and go: SQL on the local Postgres.

The roles are those of the demo's stack: DATABASE_owner owns schema and tables and nobody logs in as
it, DATABASE_app may read and write rows. No error repeats a statement: it may hold a password.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence

import psycopg2
from psycopg2 import errors, extensions, sql

from eventpipeline_operator.adapters.local.backing.postgres import connect
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.errors import Retryable, Stalled, Unanswered

MADE_LATER = "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT"
PREPARE = (
    "ALTER SCHEMA public OWNER TO {owner}",
    "REVOKE ALL ON SCHEMA public FROM PUBLIC",
    "GRANT USAGE ON SCHEMA public TO {app}",
    f"{MADE_LATER} SELECT, INSERT, UPDATE, DELETE ON TABLES TO {{app}}",
    f"{MADE_LATER} USAGE, SELECT, UPDATE ON SEQUENCES TO {{app}}",
    f"{MADE_LATER} USAGE ON SCHEMAS TO {{app}}",
)
Url = Callable[[str], str]


class PostgresUsers:
    """Works on the databases of one server; `url` gives its owner's URL of each."""

    def __init__(self, url: Url) -> None:
        self._url = url
        self._prepared: set[str] = set()
        self._preparing = asyncio.Lock()

    async def prepare(self, database: str) -> None:
        """Make a database and the roles around it, unless they are there."""
        async with self._preparing:  # of two who make the same, one would fail
            if database not in self._prepared:
                await asyncio.to_thread(self._prepare, database)
                self._prepared.add(database)

    async def run(self, database: str, statements: Sequence[str]) -> None:
        """Run statements, all of them or none."""
        await asyncio.to_thread(self._run, database, statements)

    async def drop(self, database: str, user: str, statements: Sequence[str]) -> None:
        """Run statements that remove a user, if it is there."""
        await asyncio.to_thread(self._drop, database, user, statements)

    def _prepare(self, database: str) -> None:
        names = {
            "database": sql.Identifier(database),
            "owner": sql.Identifier(f"{database}_owner"),
            "app": sql.Identifier(f"{database}_app"),
        }
        with self._cursor("postgres") as cursor:
            for role in ("owner", "app"):
                with contextlib.suppress(errors.DuplicateObject):
                    cursor.execute(sql.SQL("CREATE ROLE {}").format(names[role]))
            with contextlib.suppress(errors.DuplicateDatabase):
                make = sql.SQL("CREATE DATABASE {database} OWNER {owner}")
                cursor.execute(make.format(**names))
            cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {database} FROM PUBLIC").format(**names))
            grant = sql.SQL("GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {app}")
            cursor.execute(grant.format(**names))
        with self._cursor(database) as cursor:
            for statement in PREPARE:
                cursor.execute(sql.SQL(statement).format(**names))

    def _run(self, database: str, statements: Sequence[str]) -> None:
        with self._cursor(database) as cursor:
            cursor.execute("BEGIN")
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("COMMIT")

    def _drop(self, database: str, user: str, statements: Sequence[str]) -> None:
        with self._cursor(database) as cursor:
            cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (user,))
            if cursor.fetchone() is None:
                return
            for statement in statements:
                cursor.execute(statement)

    @contextlib.contextmanager
    def _cursor(self, database: str) -> Iterator[extensions.cursor]:
        """A cursor of a connection of its own, with its failures classified."""
        try:
            connection = connect(self._url(database))
        except psycopg2.OperationalError:
            raise Retryable(
                Reason.VAULT_UNAVAILABLE, f"the local PostgreSQL does not let us in to {database}"
            ) from None
        try:
            with connection.cursor() as cursor:
                yield cursor
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            raise Unanswered(
                Reason.VAULT_UNAVAILABLE, "the local PostgreSQL has broken the connection"
            ) from None
        except psycopg2.Error as error:
            said = error.diag.message_primary or type(error).__name__
            raise Stalled(
                Reason.CREDENTIALS_REFUSED, f"the local PostgreSQL refuses: {said}"
            ) from None
        finally:
            connection.close()
