"""Runs a service's Alembic migrations, which travel inside its package.

Tables belong to a stable owner role (`DATABASE_OWNER`, by `SET ROLE`), never to the user who
happens to log in: Vault's users expire. Two migration Jobs at once wait for each other. Each
migration is a transaction of its own, so that one may build an index while the old version serves.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy
import structlog
from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

log = structlog.get_logger(__name__)

_LOCK = 7_203_114  # any number, the same for all services: databases do not share locks
_ASK_AGAIN_SECONDS = 0.2


def migrate(folder: Path, environ: Mapping[str, str]) -> None:
    """Bring the database of `DATABASE_URL` to the newest revision in `folder`."""
    url = sqlalchemy.make_url(environ["DATABASE_URL"]).set(drivername="postgresql+psycopg2")
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    script = ScriptDirectory.from_config(_config(folder))
    with engine.connect() as connection:
        _wait_for_turn(connection)
        owner = environ.get("DATABASE_OWNER")
        if owner:
            quoted = engine.dialect.identifier_preparer.quote_identifier(owner)
            connection.execute(sqlalchemy.text(f"SET ROLE {quoted}"))
            connection.commit()
        _upgrade(script, connection)
    engine.dispose()


def build_index(name: str, definition: str) -> None:
    """For migrations: build an index while others read and write.

    One that an earlier try left half done is of no use and goes first.
    """
    with op.get_context().autocommit_block():
        half_done = op.get_bind().execute(
            sqlalchemy.text(
                "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"
            ),
            {"name": name},
        )
        if half_done.first():
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {definition}")


def _wait_for_turn(connection: sqlalchemy.Connection) -> None:
    """Ask, rather than wait inside Postgres: a waiting query would hold up an index being built."""
    ask = sqlalchemy.text("SELECT pg_try_advisory_lock(:lock)")
    while not connection.scalar(ask, {"lock": _LOCK}):
        connection.rollback()
        time.sleep(_ASK_AGAIN_SECONDS)
    connection.commit()  # the lock is the session's


def _upgrade(script: ScriptDirectory, connection: sqlalchemy.Connection) -> None:
    head = script.get_current_head()

    def steps(revision: Any, _: object) -> Any:
        log.info("migrate.upgrade", current=revision or None, head=head)
        return script._upgrade_revs("head", revision)  # noqa: SLF001  # what command.upgrade does

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection, transaction_per_migration=True)
        with environment.begin_transaction():
            environment.run_migrations()


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder))
    return config
