"""A real PostgreSQL for one test session: its own data directory, 127.0.0.1 only."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg2

from servers.local import free_port, stop_process
from servers.waiting import wait_for

OWNER = "postgres"
# Everybody is trusted, but for members of this role (where a test creates it).
BY_PASSWORD = "by_password"
SMALL = {"max_connections": "200", "shared_buffers": "64MB"}


def find_binaries() -> Path | None:
    """The newest PostgreSQL server on this machine, None where there is none."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if candidates:
        return candidates[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).parent if on_path else None


class PostgresServer:
    """One server process; `create_database` gives every test its own database."""

    def __init__(
        self, binaries: Path, directory: Path, settings: Mapping[str, str] | None = None
    ) -> None:
        self._binaries = binaries
        self._settings = SMALL | dict(settings or {})
        self._data = directory / "data"
        self._log = directory / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root: Debian's package brings the user for it.
        self._user = OWNER if os.geteuid() == 0 else None
        self.port = free_port()
        if self._user:
            # Temporary folders are closed to other users: let them pass, and nothing more.
            for folder in directory.parents[:2]:
                folder.chmod(folder.stat().st_mode | 0o011)
            shutil.chown(directory, self._user)

    @property
    def pid(self) -> int | None:
        """The server's first process, None while it is stopped."""
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Creates the cluster on first use, then starts the server and waits until it answers."""
        if not self._data.exists():
            subprocess.run(
                [
                    self._binaries / "initdb",
                    *("-D", self._data, "-U", OWNER, "--auth=trust", "-E", "UTF8", "-N"),
                ],
                check=True,
                capture_output=True,
                user=self._user,
            )
            access = self._data / "pg_hba.conf"
            rule = f"host all +{BY_PASSWORD} 127.0.0.1/32 scram-sha-256\n"
            access.write_text(rule + access.read_text())
        command: list[str | Path] = [self._binaries / "postgres", "-D", self._data]
        command += ["-p", str(self.port), "-h", "127.0.0.1", "-k", self._data]
        command += [f"--{name}={value}" for name, value in self._settings.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, user=self._user)
        wait_for(f"PostgreSQL on port {self.port} ({self._log})", self._accepts_queries)

    def stop(self, *, immediate: bool = False) -> None:
        """Stops the server; `immediate` is its own crash stop (SIGQUIT, recovery at start)."""
        if self._process is None:
            return
        if immediate:
            self._process.send_signal(3)
            self._process.wait(10)
        else:
            self._process.send_signal(2)
            stop_process(self._process)
        self._process = None

    def create_database(self, prefix: str) -> str:
        """A fresh database with a name of its own; returns its URL."""
        name = f"{prefix}_{secrets.token_hex(4)}"
        connection = psycopg2.connect(self.url("postgres"))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{name}"')
        finally:
            connection.close()
        return self.url(name)

    def url(self, database: str) -> str:
        """The URL of a database on this server."""
        return f"postgresql://{OWNER}@127.0.0.1:{self.port}/{database}"

    def _accepts_queries(self) -> bool:
        psycopg2.connect(self.url("postgres"), connect_timeout=2).close()
        return True
