"""A PostgreSQL on 127.0.0.1 with a password of its own; its data stays in the directory."""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2 import extensions

from eventpipeline_operator.adapters.local.backing.errors import BackingError
from eventpipeline_operator.adapters.local.backing.housing import house
from eventpipeline_operator.adapters.local.backing.ports import HOST, choose_port
from eventpipeline_operator.adapters.local.backing.process import (
    BackingServer,
    ServerProcess,
    run_program,
)

PORT = 5432
OWNER = "postgres"
READY_SECONDS = 60.0
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "128MB",
    "jit": "off",
    # A failing statement must not put a password into the log.
    "log_min_error_statement": "panic",
}


class PostgresServer(BackingServer):
    """One server; who may connect to what is decided by who prepares its databases."""

    name = "postgres"
    stop_seconds = 20.0

    def __init__(self, binaries: Path, directory: Path, port: int = PORT) -> None:
        self._binaries = binaries
        self._user = unprivileged_user()
        self._directory = directory
        super().__init__(self._new_process())
        self._password = ""
        self.port = port

    @property
    def address(self) -> str:
        """Host and port, true once it has been started."""
        return f"{HOST}:{self.port}"

    def url(self, database: str = OWNER) -> str:
        """The URL of a database for the server's owner: it carries the password."""
        return f"postgresql://{OWNER}:{quote(self._password)}@{self.address}/{database}"

    async def start(self) -> None:
        """Start it, creating its storage before the first time, and wait until it answers."""
        home = house(self._directory, self._user)
        data, password = home / "data", home / "owner.password"
        if not (data / "PG_VERSION").exists():
            await self._initialize(data, password)
        self._password = password.read_text().strip()
        self.port = choose_port(self.port)
        settings = {**SETTINGS, "port": str(self.port)}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        await self._process.start([self._binaries / "postgres", "-D", data, *options])
        await self._process.wait_until(self._answers, READY_SECONDS)

    async def _initialize(self, data: Path, password: Path) -> None:
        shutil.rmtree(data, ignore_errors=True)  # an attempt that was broken off
        self._write_password(password)
        await run_program(
            [
                *(self._binaries / "initdb", "-D", data, "-U", OWNER, f"--pwfile={password}"),
                *("--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"),
            ],
            self.log,
            user=self._user,
        )

    def _write_password(self, file: Path) -> None:
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24))
        if self._user:
            shutil.chown(file, self._user)

    def _new_process(self) -> ServerProcess:
        return ServerProcess(
            "PostgreSQL",
            self._directory.with_name(f"{self._directory.name}.log"),
            user=self._user,
            polite=signal.SIGINT,  # disconnects its clients and ends
            orphaned=signal.SIGINT,
        )

    async def _answers(self) -> bool:
        return await asyncio.to_thread(accepts_connections, self.url())


def accepts_connections(url: str) -> bool:
    """Whether a server answers there."""
    try:
        connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def connect(url: str) -> extensions.connection:
    """A connection on which each statement is a transaction."""
    connection = psycopg2.connect(url, connect_timeout=2)
    connection.autocommit = True
    return connection


def unprivileged_user() -> str:
    """PostgreSQL refuses to run as root: whom root starts it as; empty for anybody else."""
    if os.geteuid() != 0:
        return ""
    for name in (OWNER, "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise BackingError("PostgreSQL refuses to run as root: use an ordinary account")
