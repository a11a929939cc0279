"""The local runtime's real Vault against the contract, with users in a real PostgreSQL."""

import os
import stat
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from hvac.exceptions import InvalidPath

from contracts.vault import (
    CREDENTIALS,
    SECRET,
    SHORT_LIVED,
    HistoryContract,
    LoginContract,
    VaultContract,
    VaultUnderTest,
)
from eventpipeline_operator.adapters.local.backing.errors import BackingError
from eventpipeline_operator.adapters.local.backing.postgres import PostgresServer
from eventpipeline_operator.adapters.local.backing.vault_local import LocalVault
from eventpipeline_operator.adapters.local.backing.vault_server import VaultServer
from eventpipeline_operator.api.types import Vault
from integration.local.users import Users
from servers.local import find_artifact, open_directory, taken
from servers.waiting import wait_for
from unit.operator.fakes import FakeSafe

# One server for all: it lives in the loop of the module.
pytestmark = pytest.mark.asyncio(loop_scope="module")


class LocalUnderTest(VaultUnderTest):
    def __init__(self, programs: Path, directory: Path, postgres: PostgresServer) -> None:
        self.file = directory / "vault.yaml"
        self.directory = directory / "vault"
        self.login = Vault("http://vault:8200", role="shop", service_account="shop-vault")
        self.safe = FakeSafe()
        self.server = VaultServer(programs, self.directory)
        self.vault = LocalVault(self.server, self.file, postgres.url, self.safe, time.time)
        self.port = self.vault
        self.fill()

    def fill(self) -> None:
        """The file, as every test finds it."""
        self.contents: dict[str, dict[str, Any]] = {
            "kv": {"kv/shop": dict(SECRET)},
            "dynamic": {
                CREDENTIALS: {"database": "shop"},
                SHORT_LIVED: {"database": "shop", "ttl": 5, "maxTtl": 6},
            },
        }
        self.save()

    def forget(self) -> None:
        """What the last test has written is gone; the server runs on."""
        kv = self.server.client().secrets.kv.v2
        with suppress(InvalidPath):  # before the first test nothing is mounted
            kv.delete_metadata_and_all_versions("shop", mount_point="kv")
        self.safe.records.clear()
        self.vault._connect()
        self.fill()

    def save(self) -> None:
        self.file.write_text(yaml.safe_dump(self.contents))

    async def write(self, path: str, values: dict[str, str]) -> None:
        self.contents["kv"][f"kv/{path}"] = values
        self.save()

    def pass_time(self, seconds: float) -> None:
        then = time.monotonic() + seconds
        wait_for(f"{seconds} s to pass", lambda: time.monotonic() > then)


@pytest.fixture(scope="session")
def vault_programs() -> Path:
    found = find_artifact("vault")
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    vault_programs: Path, postgres_server: PostgresServer
) -> AsyncIterator[LocalUnderTest]:
    with open_directory() as directory:
        under_test = LocalUnderTest(vault_programs, directory, postgres_server)
        await under_test.vault.start()
        yield under_test
        await under_test.vault.stop()


@pytest.fixture
def vault(running: LocalUnderTest) -> LocalUnderTest:
    running.forget()
    return running


class TestLocalVault(VaultContract, HistoryContract, LoginContract):
    pass


async def test_a_vault_that_comes_back_on_another_port_is_open_and_knows_its_leases(
    vault: LocalUnderTest, postgres_lets_in: Users
) -> None:
    issued = await vault.issue()
    await vault.vault.stop()
    assert vault.vault.pid is None
    first = vault.vault.port
    with taken(first):
        await vault.vault.start()
    assert vault.vault.port != first
    assert (await vault.read()).values == SECRET
    assert await vault.session() == issued.session
    assert await vault.is_renewed(issued)
    await vault.revoke(issued)
    assert not postgres_lets_in(issued)


async def test_its_keys_are_readable_by_nobody_else(vault: LocalUnderTest) -> None:
    keys = vault.directory / "keys.json"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert stat.S_IMODE(vault.directory.stat().st_mode) == 0o700


async def test_a_vault_whose_keys_are_lost_says_what_to_do(vault: LocalUnderTest) -> None:
    await vault.vault.stop()
    keys = vault.directory / "keys.json"
    kept = keys.read_text()
    keys.unlink()
    with pytest.raises(BackingError, match="put them back, or remove the directory"):
        await vault.vault.start()
    await vault.vault.stop()
    keys.write_text(kept)
    await vault.vault.start()


async def test_nothing_of_it_is_left_when_it_is_stopped(vault: LocalUnderTest) -> None:
    await vault.issue()
    assert vault.server.pid
    group = os.getpgid(vault.server.pid)
    await vault.vault.stop()
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    await vault.vault.start()
