"""The newest versions of kv secrets: metadata alone, with the caller's own token.

No value is ever read, and no other path: reading one that makes credentials would make some.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import hvac
import requests
from hvac.exceptions import InvalidPath, VaultError

from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Kv, Secret
from eventpipeline_operator.errors import ReconcileError, Retryable, Stalled

TIMEOUT_SECONDS = 10


class MetadataReader(Protocol):
    """What is asked of Vault."""

    def __call__(self, mount: str, path: str) -> Mapping[str, Any]:
        """The metadata of a kv v2 secret."""
        ...


def open_vault(
    address: str, token: str, namespace: str | None, verify: str | None
) -> MetadataReader:
    """A reader on a real Vault; `verify` is a file of authorities."""
    client = hvac.Client(
        url=address,
        token=token,
        namespace=namespace,
        verify=verify or True,
        timeout=TIMEOUT_SECONDS,
    )

    def read(mount: str, path: str) -> Mapping[str, Any]:
        answer = client.secrets.kv.v2.read_secret_metadata(path=path, mount_point=mount)
        data: Mapping[str, Any] = answer["data"]
        return data

    return read


async def newest_versions(
    read: MetadataReader, secrets: Iterable[Secret]
) -> tuple[dict[str, str], list[str]]:
    """Versions by entry, of those that follow the newest one; and what is the matter."""
    versions, problems = {}, []
    for entry in secrets:
        if not isinstance(entry.vault, Kv):
            continue
        try:
            data = await asyncio.to_thread(_asked, read, entry.vault)
        except Stalled as error:
            problems.append(f"spec.secrets[{entry.name}].vault.kv: {error.message}")
            continue
        wanted = entry.vault.version
        if wanted is None:
            versions[entry.name] = str(data["current_version"])
        elif str(wanted) not in data.get("versions", {}):
            problems.append(f"spec.secrets[{entry.name}].vault.kv.version: there is no {wanted}")
    return versions, problems


def _asked(read: Callable[[str, str], Mapping[str, Any]], source: Kv) -> Mapping[str, Any]:
    try:
        return read(source.mount, source.path)
    except InvalidPath as error:
        said = f"Vault has no secret {source.mount}/{source.path}: write it or correct the path"
        raise Stalled(Reason.SECRET_NOT_FOUND, said) from error
    except VaultError as error:
        raise _refusal(source, str(error)) from error
    except requests.RequestException as error:
        said = f"Vault does not answer ({type(error).__name__}): give --vault-address"
        raise Retryable(Reason.VAULT_UNAVAILABLE, said) from error


def _refusal(source: Kv, words: str) -> ReconcileError:
    said = f"Vault refuses {source.mount}/metadata/{source.path}: {words}"
    return Stalled(Reason.VAULT_READ_DENIED, said)
