"""The platform chart's own Postgres and Vault as local processes.

Each runs as the chart has it, from the rendered ConfigMaps; only paths and addresses of the
container are replaced by those of the test.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hvac
import psycopg2

from servers.local import free_port
from servers.waiting import wait_for

BINARIES = Path("/usr/lib/postgresql/15/bin")
CONTAINER_PATHS = {"/config": "", "/tmp": "/tmp", "/var/run/postgresql": "/tmp"}  # noqa: S108
CREDENTIALS = {
    "APPLICATION_USERNAME": "shop",
    "APPLICATION_PASSWORD": 'it\'s 100% "secret"',
    "VAULT_USERNAME": "vault",
    "VAULT_PASSWORD": "vault-password",
}


class PreparedPostgres:
    """The chart's Postgres in a directory: prepare.sh, then the server on a port of 127.0.0.1."""

    def __init__(self, directory: Path, files: dict[str, str]) -> None:
        self.port = free_port()
        self._user = "postgres" if os.geteuid() == 0 else None
        self._directory = directory
        self._environment = {
            **CREDENTIALS,
            "PATH": os.environ["PATH"],
            "PGDATA": str(directory / "pgdata"),
            "DATABASES": "orders stock email",
        }
        (directory / "tmp").mkdir()
        for name, text in files.items():
            own = re.sub(
                "|".join(CONTAINER_PATHS),
                lambda found: f"{directory}{CONTAINER_PATHS[found[0]]}",
                text,
            )
            (directory / name).write_text(own)
        if self._user:
            for path in (directory, *directory.iterdir()):
                shutil.chown(path, self._user)

    def prepare(self, **environment: str) -> None:
        run = subprocess.run(
            ["sh", self._directory / "prepare.sh"],
            env={**self._environment, **environment},
            user=self._user,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr

    def start(self) -> "subprocess.Popen[bytes]":
        config = self._directory / "postgresql.conf"
        arguments = ("-D", self._environment["PGDATA"], "-c", f"config_file={config}")
        process = subprocess.Popen(
            [BINARIES / "postgres", *arguments, "-c", "listen_addresses=127.0.0.1"],
            env={**os.environ, "PGPORT": str(self.port)},
            stderr=(self._directory / "tmp" / "postgres.log").open("ab"),
            user=self._user,
        )
        wait_for("Postgres answers", lambda: self.connect("orders").close() is None)
        return process

    def connect(self, database: str, user: str = "shop", password: str = "") -> Any:
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            dbname=database,
            user=user,
            password=password or CREDENTIALS["APPLICATION_PASSWORD"],
        )
        connection.autocommit = True
        return connection

    def query(self, connection: Any, statement: str, *values: object) -> list[Any]:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return [row[0] for row in cursor.fetchall()] if cursor.description else []


class LocalVault:
    """The chart's Vault configuration in a directory, on a port of 127.0.0.1."""

    def __init__(self, artifact: Path, directory: Path, config: str) -> None:
        self.address = f"http://127.0.0.1:{free_port()}"
        self.plugins = artifact / "plugins"
        self._artifact = artifact
        self._directory = directory
        (directory / "raft").mkdir()
        listener = self.address.removeprefix("http://")
        config = config.replace("[::]:8200", listener).replace("/data/", f"{directory}/")
        config = config.replace("127.0.0.1:8201", f"127.0.0.1:{free_port()}")
        config = config.replace("/vault/plugins", str(self.plugins))
        (directory / "vault.hcl").write_text(config)
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        self.process = subprocess.Popen(
            [self._artifact / "vault", "server", f"-config={self._directory / 'vault.hcl'}"],
            stdout=(self._directory / "vault.log").open("ab"),
            stderr=subprocess.STDOUT,
        )
        client = hvac.Client(url=self.address)
        wait_for("Vault answers", lambda: client.sys.read_seal_status() is not None)
        return self.process
