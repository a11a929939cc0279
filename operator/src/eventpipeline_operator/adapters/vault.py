"""The VaultPort on hvac: kv secrets, and credentials with leases, as the pipeline's own account."""

import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Any

from hvac import exceptions as refused

from eventpipeline_operator.adapters.vault_calls import VaultCalls, words_of
from eventpipeline_operator.adapters.vault_sessions import OpenSession, VaultSessions
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.errors import Stalled
from eventpipeline_operator.policies.leases import Term
from eventpipeline_operator.reconcile.ports import Issued, KvValue, Session


class VaultAdapter:
    """Everything that steps ask of all Vaults that pipelines name."""

    def __init__(
        self, calls: VaultCalls, sessions: VaultSessions, clock: Callable[[], float]
    ) -> None:
        self._calls = calls
        self._sessions = sessions
        self._clock = clock

    async def read_kv(
        self, namespace: str, vault: Vault, mount: str, path: str, version: int | None
    ) -> KvValue:
        """Read a kv v2 secret."""

        async def read(held: OpenSession) -> Any:
            def call() -> Any:
                return held.client.secrets.kv.v2.read_secret_version(
                    path=path, version=version, mount_point=mount, raise_on_deleted_version=True
                )

            return await self._calls.run("read", vault, call)

        try:
            answer = await self._as_pipeline(namespace, vault, read, f"read {mount}/data/{path}")
        except refused.InvalidPath as error:
            raise Stalled(
                Reason.SECRET_NOT_FOUND,
                f"Vault has no secret {mount}/{path}"
                + (f" version {version}" if version else "")
                + f" at {vault.address}: write it or correct spec.secrets",
            ) from error
        data = answer["data"]
        return KvValue(data["data"], str(data["metadata"]["version"]))

    async def hold_session(self, namespace: str, vault: Vault) -> Session:
        """The session of a login, renewed or made anew when that is due."""
        return (await self._sessions.hold(namespace, vault)).session

    async def issue(self, namespace: str, vault: Vault, path: str) -> Issued:
        """Have credentials made."""

        async def read(held: OpenSession) -> Any:
            now = self._clock()
            answer = await self._calls.run("issue", vault, lambda: held.client.read(path))
            return now, held.session.id, answer

        try:
            now, session, answer = await self._as_pipeline(namespace, vault, read, f"read {path}")
        except (refused.InvalidPath, refused.InvalidRequest) as error:
            raise Stalled(
                Reason.CREDENTIALS_REFUSED,
                f"Vault at {vault.address} makes no credentials at {path}: {words_of(error)}: "
                "configure that role or correct spec.secrets",
            ) from error
        if not answer or not answer.get("lease_id"):
            raise Stalled(
                Reason.CREDENTIALS_REFUSED,
                f"{path} in Vault at {vault.address} gives no lease: name a path that makes "
                "credentials, or use kv",
            )
        life = float(answer["lease_duration"])
        term = Term(now, life, life, bool(answer["renewable"]), secrets.randbelow(1000) / 1000)
        return Issued(answer["data"], answer["lease_id"], term, session)

    async def renew(self, namespace: str, vault: Vault, lease: str, term: Term) -> Term | None:
        """Prolong a lease; None when Vault does not know it or will not."""

        async def renew(held: OpenSession) -> Any:
            def call() -> Any:
                return held.client.sys.renew_lease(lease, increment=int(term.asked))

            return await self._calls.run("renew-lease", vault, call)

        now = self._clock()
        held = await self._sessions.hold(namespace, vault)
        try:
            answer = await renew(held)
        except refused.VaultError:
            return None
        return replace(
            term,
            granted_at=now,
            seconds=float(answer["lease_duration"]),
            renewable=bool(answer["renewable"]),
        )

    async def revoke(self, namespace: str, vault: Vault, lease: str) -> None:
        """End a lease now; one that is gone is no failure."""
        held = await self._sessions.hold(namespace, vault)
        try:
            await self._calls.run("revoke", vault, lambda: held.client.sys.revoke_lease(lease))
        except refused.Forbidden as error:
            raise Stalled(
                Reason.VAULT_READ_DENIED,
                f"Vault role {vault.role} may not update sys/leases/revoke: allow it in a policy "
                "of the role",
            ) from error
        except refused.VaultError:
            return

    async def abandon_session(self, namespace: str, vault: Vault, session: str) -> None:
        """Use a session no longer: the next one to hold is another."""
        await self._sessions.abandon(namespace, vault, session)

    async def abandoned_sessions(self) -> Collection[str]:
        """Sessions that are used no longer and have not ended."""
        return await self._sessions.abandoned()

    async def end_session(self, session: str) -> None:
        """End an abandoned session now, and with it every lease that it has made."""
        await self._sessions.end(session)

    async def _as_pipeline(
        self,
        namespace: str,
        vault: Vault,
        attempt: Callable[[OpenSession], Awaitable[Any]],
        what: str,
    ) -> Any:
        """Run an attempt; a token that Vault no longer knows is replaced once."""
        held = await self._sessions.hold(namespace, vault)
        try:
            try:
                return await attempt(held)
            except refused.Forbidden:
                return await self._sessions.replace(namespace, vault, held, attempt)
        except refused.Forbidden as error:
            raise Stalled(
                Reason.VAULT_READ_DENIED,
                f"Vault role {vault.role} may not {what}: allow it in a policy of the role",
            ) from error
