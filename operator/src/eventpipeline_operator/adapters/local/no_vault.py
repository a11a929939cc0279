"""The VaultPort where dev.yaml lets nothing stand for Vault: whoever asks is told so."""

from collections.abc import Collection
from typing import NoReturn

from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.errors import Stalled
from eventpipeline_operator.policies.leases import Term
from eventpipeline_operator.reconcile.ports import Issued, KvValue, Session


class NoVault:
    """Refuses everything; holds nothing."""

    async def read_kv(
        self, namespace: str, vault: Vault, mount: str, path: str, version: int | None
    ) -> KvValue:
        """Refused."""
        del namespace, mount, path, version
        _refuse(vault)

    async def hold_session(self, namespace: str, vault: Vault) -> Session:
        """Refused."""
        del namespace
        _refuse(vault)

    async def issue(self, namespace: str, vault: Vault, path: str) -> Issued:
        """Refused."""
        del namespace, path
        _refuse(vault)

    async def renew(self, namespace: str, vault: Vault, lease: str, term: Term) -> Term | None:
        """What another run has got is not known here."""
        del namespace, vault, lease, term
        return None

    async def revoke(self, namespace: str, vault: Vault, lease: str) -> None:
        """It ends by itself."""
        del namespace, vault, lease

    async def abandon_session(self, namespace: str, vault: Vault, session: str) -> None:
        """There is none."""
        del namespace, vault, session

    async def abandoned_sessions(self) -> Collection[str]:
        """There are none."""
        return ()

    async def end_session(self, session: str) -> None:
        """There is none."""
        del session


def _refuse(vault: Vault) -> NoReturn:
    raise Stalled(
        Reason.VAULT_UNAVAILABLE,
        f"spec.vault.address: nothing stands for {vault.address} here: say `vault` for its host "
        "and port under addresses in dev.yaml, and name a file with its contents as secrets",
    )
