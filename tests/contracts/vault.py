"""What steps expect of the VaultPort: one suite for the fake, the stand-in and a real Vault."""

from abc import ABC, abstractmethod

import pytest

from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.errors import Stalled
from eventpipeline_operator.reconcile.ports import Issued, KvValue, VaultPort

NAMESPACE = "team"
CREDENTIALS = "database/creds/shop"
SHORT_LIVED = "database/creds/short"
SECRET = {"USER": "ada", "PASSWORD": "p@ss/word"}


class VaultUnderTest(ABC):
    """A Vault that holds SECRET at kv/shop and makes credentials at CREDENTIALS."""

    port: VaultPort
    login: Vault
    near_end: float = 3
    """After so many seconds a lease of SHORT_LIVED can hardly be prolonged."""

    @abstractmethod
    async def write(self, path: str, values: dict[str, str]) -> None:
        """A new version of a kv secret."""

    @abstractmethod
    def pass_time(self, seconds: float) -> None:
        """Move its time, or wait."""

    async def read(self, path: str = "shop", version: int | None = None) -> KvValue:
        return await self.port.read_kv(NAMESPACE, self.login, "kv", path, version)

    async def issue(self, path: str = CREDENTIALS) -> Issued:
        return await self.port.issue(NAMESPACE, self.login, path)

    async def is_renewed(self, issued: Issued) -> bool:
        renewed = await self.port.renew(NAMESPACE, self.login, issued.lease, issued.term)
        return renewed is not None

    async def revoke(self, issued: Issued) -> None:
        await self.port.revoke(NAMESPACE, self.login, issued.lease)

    async def session(self) -> str:
        return (await self.port.hold_session(NAMESPACE, self.login)).id

    async def abandon(self, session: str) -> None:
        await self.port.abandon_session(NAMESPACE, self.login, session)


class VaultContract:
    """Subclasses provide the `vault` fixture."""

    async def test_a_secret_is_read_with_its_version(self, vault: VaultUnderTest) -> None:
        read = await vault.read()
        assert read.values == SECRET
        assert read.version == "1"

    async def test_what_was_read_is_not_in_its_representation(self, vault: VaultUnderTest) -> None:
        assert SECRET["PASSWORD"] not in repr(await vault.read())
        issued = await vault.issue()
        assert issued.values["password"] not in repr(issued)
        assert issued.lease not in repr(issued)

    async def test_a_change_is_a_new_version(self, vault: VaultUnderTest) -> None:
        await vault.read()
        await vault.write("shop", {"USER": "eve"})
        read = await vault.read()
        assert (read.values, read.version) == ({"USER": "eve"}, "2")

    async def test_a_missing_secret_stalls_and_is_named(self, vault: VaultUnderTest) -> None:
        with pytest.raises(Stalled, match="kv/nothing") as raised:
            await vault.read("nothing")
        assert raised.value.reason == Reason.SECRET_NOT_FOUND

    async def test_each_credentials_are_of_their_own(self, vault: VaultUnderTest) -> None:
        first, second = await vault.issue(), await vault.issue()
        assert first.lease != second.lease
        assert first.values["username"] != second.values["username"]
        assert first.term.renewable

    async def test_credentials_tell_the_session_that_made_them(self, vault: VaultUnderTest) -> None:
        issued = await vault.issue()
        assert issued.session == await vault.session()

    async def test_a_path_that_makes_no_credentials_stalls(self, vault: VaultUnderTest) -> None:
        with pytest.raises(Stalled, match="database/creds/nobody") as raised:
            await vault.issue("database/creds/nobody")
        assert raised.value.reason == Reason.CREDENTIALS_REFUSED

    async def test_a_lease_is_renewed_for_what_is_asked(self, vault: VaultUnderTest) -> None:
        issued = await vault.issue()
        vault.pass_time(1)
        renewed = await vault.port.renew(NAMESPACE, vault.login, issued.lease, issued.term)
        assert renewed
        assert renewed.ends_at > issued.term.ends_at
        assert not renewed.capped

    async def test_a_lease_near_its_greatest_life_gets_less(self, vault: VaultUnderTest) -> None:
        issued = await vault.issue(SHORT_LIVED)
        vault.pass_time(vault.near_end)
        renewed = await vault.port.renew(NAMESPACE, vault.login, issued.lease, issued.term)
        assert renewed
        assert renewed.capped

    async def test_a_revoked_lease_is_renewed_no_more(self, vault: VaultUnderTest) -> None:
        issued = await vault.issue()
        assert await vault.is_renewed(issued)
        await vault.revoke(issued)
        assert not await vault.is_renewed(issued)

    async def test_revoking_again_is_no_failure(self, vault: VaultUnderTest) -> None:
        issued = await vault.issue()
        await vault.revoke(issued)
        await vault.revoke(issued)

    async def test_a_session_is_held_until_it_is_abandoned(self, vault: VaultUnderTest) -> None:
        session = await vault.session()
        assert await vault.session() == session
        await vault.abandon(session)
        assert await vault.session() != session
        assert list(await vault.port.abandoned_sessions()) == [session]

    async def test_abandoning_another_session_changes_nothing(self, vault: VaultUnderTest) -> None:
        session = await vault.session()
        await vault.abandon("another")
        assert await vault.session() == session
        assert list(await vault.port.abandoned_sessions()) == []

    async def test_leases_live_on_until_their_abandoned_session_is_ended(
        self, vault: VaultUnderTest
    ) -> None:
        old = await vault.issue()
        await vault.abandon(old.session)
        new = await vault.issue()
        assert await vault.is_renewed(old)
        await vault.port.end_session(old.session)
        assert not await vault.is_renewed(old)
        assert await vault.is_renewed(new)
        assert list(await vault.port.abandoned_sessions()) == []


class HistoryContract:
    """Of those that keep old versions."""

    async def test_a_pinned_version_stays_as_it_was(self, vault: VaultUnderTest) -> None:
        await vault.read()
        await vault.write("shop", {"USER": "eve"})
        await vault.read()
        pinned = await vault.read(version=1)
        assert (pinned.values, pinned.version) == (SECRET, "1")

    async def test_a_version_that_never_was_is_named(self, vault: VaultUnderTest) -> None:
        with pytest.raises(Stalled, match="kv/shop version 9") as raised:
            await vault.read(version=9)
        assert raised.value.reason == Reason.SECRET_NOT_FOUND


class LoginContract:
    """Of those whose credentials a real PostgreSQL is asked about."""

    async def test_credentials_log_in_until_they_are_revoked(
        self, vault: VaultUnderTest, postgres_lets_in: "LetsIn"
    ) -> None:
        issued = await vault.issue()
        assert postgres_lets_in(issued)
        await vault.revoke(issued)
        assert not postgres_lets_in(issued)

    async def test_credentials_end_with_their_session(
        self, vault: VaultUnderTest, postgres_lets_in: "LetsIn"
    ) -> None:
        issued = await vault.issue()
        await vault.abandon(issued.session)
        assert postgres_lets_in(issued)
        await vault.port.end_session(issued.session)
        assert not postgres_lets_in(issued)


class LetsIn(ABC):
    """Tries credentials out."""

    @abstractmethod
    def __call__(self, issued: Issued) -> bool: ...
