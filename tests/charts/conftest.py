"""Servers of the platform chart, once per session."""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from charts.platform_chart import PlatformChart, find_chart
from charts.platform_servers import BINARIES, PreparedPostgres
from servers.local import stop_process


@pytest.fixture(scope="session")
def platform_chart() -> PlatformChart:
    return find_chart()


@pytest.fixture(scope="session")
def platform_postgres(platform_chart: PlatformChart) -> Iterator[PreparedPostgres]:
    if not (BINARIES / "postgres").exists():
        pytest.skip("PostgreSQL 15 is not installed: `make setup-tests` installs it")
    files = platform_chart.find("ConfigMap", "postgres")["data"]
    # Not in pytest's folders, which are closed to the server's own user.
    with tempfile.TemporaryDirectory(prefix="eventpipeline-postgres-") as directory:
        server = PreparedPostgres(Path(directory), files)
        server.prepare(APPLICATION_PASSWORD="of an earlier installation")
        server.prepare()  # every start runs it: the second run is the proof that it may
        process = server.start()
        with closing(server.connect("orders")) as connection:
            server.query(connection, "SET ROLE orders_owner")
            server.query(connection, "CREATE TABLE orders (id bigserial PRIMARY KEY, note text)")
        yield server
        stop_process(process)
