"""Runs a service's Alembic migrations, which travel inside its package.

Tables belong to a stable owner role (`DATABASE_OWNER`, by `SET ROLE`), never to the user who
happens to log in: Vault's users expire. Two migration Jobs at once wait for each other.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy
import structlog
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

log = structlog.get_logger(__name__)

_LOCK = 7_203_114  # any number, the same for all services: databases do not share locks


def migrate(folder: Path, environ: Mapping[str, str]) -> None:
    """Bring the database of `DATABASE_URL` to the newest revision in `folder`."""
    url = sqlalchemy.make_url(environ["DATABASE_URL"]).set(drivername="postgresql+psycopg2")
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    script = ScriptDirectory.from_config(_config(folder))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        owner = environ.get("DATABASE_OWNER")
        if owner:
            quoted = engine.dialect.identifier_preparer.quote_identifier(owner)
            connection.execute(sqlalchemy.text(f"SET LOCAL ROLE {quoted}"))
        _upgrade(script, connection)
    engine.dispose()


def _upgrade(script: ScriptDirectory, connection: sqlalchemy.Connection) -> None:
    head = script.get_current_head()

    def steps(revision: Any, _: object) -> Any:
        log.info("migrate.upgrade", current=revision or None, head=head)
        return script._upgrade_revs("head", revision)  # noqa: SLF001  # what command.upgrade does

    with EnvironmentContext(Config(), script, fn=steps) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder))
    return config
