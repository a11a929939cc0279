"""Reads what a login to Vault needs from the pipeline's namespace, and the operator's own key."""

import base64
import secrets

from eventpipeline_operator.adapters.kube.client import CONFLICT, NOT_FOUND, ApiError, KubeClient
from eventpipeline_operator.adapters.kube.resources import SECRET, SERVICE_ACCOUNT, Ref
from eventpipeline_operator.adapters.metrics import OBJECT_WRITES
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.errors import Stalled

TOKEN_SECONDS = 600
SIGNING_SECRET = "eventpipeline-signing-key"  # noqa: S105 - the name of an object
SIGNING_ENTRY = "key"


class KubeTokens:
    """Tokens and authorities of a pipeline's namespace."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client

    async def token(self, namespace: str, account: str, audiences: tuple[str, ...]) -> str:
        """A short-lived token of a ServiceAccount (TokenRequest)."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": list(audiences), "expirationSeconds": TOKEN_SECONDS},
        }
        subpath = f"/{account}/token"
        try:
            answer = await self._client.create(SERVICE_ACCOUNT, namespace, body, subpath)
        except ApiError as error:
            if error.status == NOT_FOUND:
                raise Stalled(
                    Reason.SERVICE_ACCOUNT_MISSING,
                    f"spec.vault.auth.kubernetes.serviceAccount: {account} is not there in "
                    f"namespace {namespace}: create it",
                ) from error
            raise error.classified(f"token of ServiceAccount {account}") from error
        OBJECT_WRITES.labels(kind="TokenRequest", result="created").inc()
        token: str = answer["status"]["token"]
        return token

    async def contents(self, namespace: str, name: str) -> dict[str, str]:
        """All keys of a Secret; empty when it is not there."""
        try:
            live = await self._client.get(Ref(SECRET.name, namespace, name))
        except ApiError as error:
            raise error.classified(f"Secret {name}") from error
        data = ((live or {}).get("data") or {}).items()
        return {k: base64.b64decode(v).decode(errors="replace") for k, v in data}

    async def authority(self, namespace: str, name: str) -> str:
        """The bundle in a Secret's ca.crt."""
        bundle = (await self.contents(namespace, name)).get("ca.crt")
        if not bundle:
            raise Stalled(
                Reason.INVALID_SPEC,
                f"spec.vault.caSecret: Secret {name} with a key ca.crt is not there in "
                f"namespace {namespace}: create it",
            )
        return bundle


async def load_signing_key(client: KubeClient, namespace: str) -> bytes:
    """The key that names delivered Secrets; made once, so that a restart finds the same names."""
    ref = Ref(SECRET.name, namespace, SIGNING_SECRET)
    live = await client.get(ref)
    if live is None:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": ref.name, "namespace": namespace},
            "immutable": True,
            "data": {SIGNING_ENTRY: base64.b64encode(secrets.token_bytes(32)).decode()},
        }
        try:
            live = await client.create(SECRET, namespace, body)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            live = await client.get(ref)
    if live is None:
        msg = f"{ref} vanished"
        raise RuntimeError(msg)
    return base64.b64decode(live["data"][SIGNING_ENTRY])
