"""spec.secrets and what Vault holds → delivered secrets with their revisions."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any

from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Dynamic, EventPipeline, Secret
from eventpipeline_operator.desired.records import SecretRecord, SecretReference
from eventpipeline_operator.desired.templates import TemplateError, render
from eventpipeline_operator.errors import Stalled

REVISION_LENGTH = 12


def build_secret(
    pipeline: EventPipeline, secret: Secret, values: Mapping[str, Any], version: str, key: bytes
) -> SecretRecord:
    """Fill in the templates of one entry; Stalled when a key is missing."""
    texts = {name: _text(value) for name, value in values.items()}
    env = _rendered(secret.env, texts, f"spec.secrets[{secret.name}].env")
    files = _rendered(secret.files, texts, f"spec.secrets[{secret.name}].files")
    return SecretRecord(
        entry=secret.name,
        revision=revise(pipeline, secret.name, env, files, key),
        source=source_of(pipeline, secret),
        version=version,
        env=env,
        files=files,
    )


def revise(
    pipeline: EventPipeline,
    entry: str,
    env: Mapping[str, str],
    files: Mapping[str, str],
    key: bytes,
) -> str:
    """A keyed hash of what is delivered: it changes exactly when a value does."""
    content = json.dumps([str(pipeline.key), entry, env, files], sort_keys=True)
    return hmac.new(key, content.encode(), hashlib.sha256).hexdigest()[:REVISION_LENGTH]


def name_secret(secret: Secret) -> SecretReference:
    """How a delivery of an entry is named, apart from its revision."""
    return SecretReference(
        secret.name, "", "", tuple(sorted(secret.env)), tuple(sorted(secret.files))
    )


def source_of(pipeline: EventPipeline, secret: Secret) -> str:
    """Fingerprint of where an entry comes from and how it is rendered, without any value.

    A delivered secret with the same fingerprint may stand in while Vault is away.
    """
    vault, source = pipeline.vault, secret.vault
    where = (
        ["dynamic", source.path]
        if isinstance(source, Dynamic)
        else [source.mount, source.path, source.version]
    )
    parts = [
        vault and [vault.address, vault.namespace],
        *where,
        dict(secret.env),
        dict(secret.files),
    ]
    return fingerprint(parts)


def fingerprint(parts: Sequence[Any]) -> str:
    """A short hash of what is no secret."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:REVISION_LENGTH]


def _rendered(templates: Mapping[str, str], values: Mapping[str, str], path: str) -> dict[str, str]:
    rendered = {}
    for name, template in templates.items():
        try:
            rendered[name] = render(template, values)
        except TemplateError as error:
            raise Stalled(Reason.SECRET_KEY_MISSING, f"{path}.{name}: {error}") from error
    return rendered


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
