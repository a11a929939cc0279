"""A database user after the other, and nobody notices: rotation under constant traffic."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.outcome import assert_each_order_was_handled_once, wait_until_settled
from e2e.traffic import Traffic
from e2e.vaults import VaultAdmin
from servers.waiting import wait_for

ROTATIONS = 20
RATE = 8
# A third of it is left for each rollout; at two thirds at the latest comes the next.
LIFE_SECONDS = 75
# Whoever is refused, or loses a session because its user goes.
TROUBLE = re.compile(r"FATAL|authentication failed|does not exist|terminating connection")


class OrderDatabase:
    """The shop's entry `order-db`: where its users come from, and how often they changed."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster

    @property
    def version(self) -> int:
        live = self._cluster.get("eventpipeline", "shop", "shop")
        entries = {entry["name"]: entry for entry in live["status"]["secrets"]}
        return int(entries["order-db"]["version"])

    def take_from(self, role: str) -> None:
        """Names another role in the shop's object, as its owner may at any time."""
        live = self._cluster.get("eventpipeline", "shop", "shop")["spec"]["secrets"]
        index = [entry["name"] for entry in live].index("order-db")
        path = f"/spec/secrets/{index}/vault/dynamic/path"
        patch = f'[{{"op": "replace", "path": "{path}", "value": "database/creds/{role}"}}]'
        self._cluster.run(
            "-n", "shop", "patch", "eventpipeline", "shop", "--type=json", "-p", patch
        )

    def secrets(self) -> set[str]:
        """The Secrets that carry its values, without those of its owner."""
        names: set[str] = self._cluster.names("secrets", "shop")
        return {name for name in names if re.fullmatch(r"secret/shop-order-db-[0-9a-f]+", name)}


@pytest.fixture
def brief_users(cluster: Any, vault_admin: VaultAdmin) -> Iterator[str]:
    """The shop's order service with users that live for a short time; afterwards as it was."""
    database = OrderDatabase(cluster)
    with vault_admin.brief_role("order", "shop", f"{LIFE_SECONDS}s") as role:
        yield role
        database.take_from("order")
        wait_for("the last brief user to go", lambda: not vault_admin.leases(role), seconds=120)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_nobody_notices_that_the_database_users_are_replaced(
    cluster: Any,
    vault_admin: VaultAdmin,
    brief_users: str,
    shop: Any,
    customers: Callable[[float], Traffic],
) -> None:
    traffic = customers(RATE)
    database = OrderDatabase(cluster)
    began = cluster.ask_postgres("orders", "SELECT to_char(now(), 'YYYY-MM-DD\"T\"HH24:MI:SSZ')")
    before = database.version
    with traffic:
        database.take_from(brief_users)
        wait_for(
            f"{ROTATIONS} rotations",
            lambda: database.version > before + ROTATIONS,
            seconds=ROTATIONS * LIFE_SECONDS,
            interval=1,
        )
        wait_for("the last rollout", lambda: len(database.secrets()) == 1, seconds=LIFE_SECONDS)
    assert traffic.failures == []
    log = cluster.run("-n", "platform", "logs", "postgres-0", f"--since-time={began[0]}")
    assert [line for line in log.splitlines() if TROUBLE.search(line)] == []
    wait_for("the old leases to go", lambda: len(vault_admin.leases(brief_users)) == 1)
    assert len(traffic.orders) > ROTATIONS
    wait_until_settled(traffic, shop)
    assert_each_order_was_handled_once(traffic, shop)
