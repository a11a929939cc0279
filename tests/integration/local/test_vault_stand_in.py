"""The stand-in for Vault against the contract, with users in a real PostgreSQL."""

import stat
import time
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import yaml

from contracts.vault import (
    CREDENTIALS,
    SECRET,
    SHORT_LIVED,
    HistoryContract,
    LoginContract,
    VaultContract,
    VaultUnderTest,
)
from eventpipeline_operator.adapters.local.backing.postgres import PostgresServer, connect
from eventpipeline_operator.adapters.local.backing.postgres_users import PostgresUsers
from eventpipeline_operator.adapters.local.backing.vault_stand_in import VaultStandIn
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.errors import Retryable, Stalled
from integration.local.users import Users

OWNER = "database/creds/shop-owner"
BROKEN = "database/creds/broken"


class StandInUnderTest(VaultUnderTest):
    def __init__(self, directory: Path, server: PostgresServer) -> None:
        self.file = directory / "vault.yaml"
        self.state = directory / "state" / "vault.json"
        self.server = server
        self.ahead = 0.0
        self.login = Vault("http://vault:8200", role="shop", service_account="shop-vault")
        self.contents: dict[str, dict[str, Any]] = {
            "kv": {"kv/shop": dict(SECRET)},
            "dynamic": {
                CREDENTIALS: {"database": "shop"},
                OWNER: {"database": "shop", "owner": True},
                SHORT_LIVED: {"database": "shop", "ttl": 5, "maxTtl": 6},
                BROKEN: {"database": "shop", "create": ["CREATE ROLE {{password}}-"]},
            },
        }
        self.save()
        self.restart()

    def save(self) -> None:
        self.file.write_text(yaml.safe_dump(self.contents))

    def restart(self) -> None:
        users = PostgresUsers(self.server.url)
        self.stand_in = VaultStandIn(self.file, self.state, users, self.clock)
        self.port = self.stand_in

    def clock(self) -> float:
        return time.time() + self.ahead

    async def write(self, path: str, values: dict[str, str]) -> None:
        self.contents["kv"][f"kv/{path}"] = values
        self.save()

    def pass_time(self, seconds: float) -> None:
        self.ahead += seconds


@pytest.fixture
def vault(tmp_path: Path, postgres_server: PostgresServer) -> StandInUnderTest:
    return StandInUnderTest(tmp_path, postgres_server)


class TestVaultStandIn(VaultContract, HistoryContract, LoginContract):
    pass


async def test_a_restart_knows_leases_sessions_and_versions(
    vault: StandInUnderTest, postgres_lets_in: Users
) -> None:
    await vault.read()
    issued = await vault.issue()
    await vault.write("shop", {"USER": "eve"})
    vault.restart()
    assert (await vault.read()).version == "2"
    assert (await vault.read(version=1)).values == SECRET
    assert await vault.session() == issued.session
    assert await vault.is_renewed(issued)
    await vault.revoke(issued)
    assert not postgres_lets_in(issued)


async def test_its_state_is_readable_by_nobody_else(vault: StandInUnderTest) -> None:
    await vault.issue()
    assert stat.S_IMODE(vault.state.stat().st_mode) == 0o600
    assert stat.S_IMODE(vault.state.parent.stat().st_mode) == 0o700


async def test_users_whose_time_has_passed_are_removed(
    vault: StandInUnderTest, postgres_lets_in: Users
) -> None:
    kept, ended = await vault.issue(), await vault.issue(SHORT_LIVED)
    vault.pass_time(10)
    assert not await vault.is_renewed(ended)
    await vault.stand_in.forget_ended()
    assert not postgres_lets_in(ended)
    assert ended.values["username"] not in postgres_lets_in.names()
    assert postgres_lets_in(kept)


async def test_a_revoked_user_loses_its_open_sessions(
    vault: StandInUnderTest, postgres_lets_in: Users
) -> None:
    issued = await vault.issue()
    with psycopg2.connect(postgres_lets_in.url(issued)).cursor() as cursor:
        await vault.revoke(issued)
        with pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")


async def test_what_the_owner_makes_the_user_may_use_and_no_more(
    vault: StandInUnderTest, postgres_lets_in: Users
) -> None:
    owner, user = await vault.issue(OWNER), await vault.issue()
    with connect(postgres_lets_in.url(owner)).cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS orders (id serial PRIMARY KEY)")
    await vault.revoke(owner)
    with connect(postgres_lets_in.url(user)).cursor() as cursor:
        cursor.execute("INSERT INTO orders DEFAULT VALUES")
        cursor.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'orders'")
        assert cursor.fetchone() == ("shop_owner",)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("DROP TABLE orders")


async def test_a_refused_statement_leaves_nothing_and_tells_no_password(
    vault: StandInUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(Stalled, match="PostgreSQL refuses: syntax error") as raised:
        await vault.issue(BROKEN)
    assert raised.value.reason == Reason.CREDENTIALS_REFUSED
    assert "PASSWORD" not in raised.value.message
    assert raised.value.__cause__ is None
    assert vault.state.read_text().count(BROKEN) == 0
    assert "syntax" not in caplog.text


async def test_a_mistake_in_the_file_is_a_matter_of_time_and_tells_no_value(
    vault: StandInUnderTest,
) -> None:
    vault.file.write_text("kv:\n  kv/shop: {PASSWORD: 'p@ss\n")
    with pytest.raises(Retryable, match=r"vault\.yaml cannot be used: line \d+ is not") as raised:
        await vault.read()
    assert raised.value.reason == Reason.VAULT_UNAVAILABLE
    assert "p@ss" not in str(raised.value)


async def test_a_postgres_that_is_away_is_a_matter_of_time_and_the_lease_is_kept(
    postgres_programs: Path, directory: Path
) -> None:
    server = PostgresServer(postgres_programs, directory / "postgres")
    await server.start()
    vault = StandInUnderTest(directory, server)
    issued = await vault.issue()
    await server.stop()
    with pytest.raises(Retryable):
        await vault.revoke(issued)
    with pytest.raises(Retryable):
        await vault.issue()
    await server.start()
    try:
        assert await vault.is_renewed(issued)
        await vault.revoke(issued)
        assert Users(server).names() == []
    finally:
        await server.stop()
