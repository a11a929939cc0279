"""Step 2: every secret is delivered, from Vault or, while Vault is away, as it last was."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from eventpipeline_operator.api.observed import Problem, SecretItem, SecretsObservation
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline, Secret
from eventpipeline_operator.desired.records import SecretRecord, SecretReference
from eventpipeline_operator.desired.secrets import build_secret, source_of
from eventpipeline_operator.errors import ReconcileError, Stalled
from eventpipeline_operator.reconcile.ports import KvValue, Runtime, VaultReader

Delivered = Mapping[str, SecretReference]
Reading = KvValue | ReconcileError
Source = tuple[str, str, int | None]


async def reconcile_secrets(
    pipeline: EventPipeline, vault: VaultReader, runtime: Runtime, key: bytes
) -> tuple[SecretsObservation, Delivered]:
    """Read, render and deliver; an entry that fails does not keep the others back."""
    readings = await _read_all(pipeline, vault)
    results = await asyncio.gather(
        *(_deliver(pipeline, s, readings[_source(s)], runtime, key) for s in pipeline.secrets)
    )
    delivered = {
        secret.name: reference
        for secret, (reference, _) in zip(pipeline.secrets, results, strict=True)
        if reference
    }
    observation = SecretsObservation(
        desired=len(pipeline.secrets),
        usable=len(delivered) == len(pipeline.secrets),
        items=tuple(
            SecretItem(entry, runtime.secret_name(pipeline, reference), reference.version)
            for entry, reference in delivered.items()
        ),
        problems=tuple(problem for _, problem in results if problem),
    )
    return observation, delivered


def still_delivered(pipeline: EventPipeline, runtime: Runtime, delivered: Delivered) -> bool:
    """Whether what an earlier pass delivered is still there."""
    return all(runtime.holds_secret(pipeline, reference) for reference in delivered.values())


async def _read_all(pipeline: EventPipeline, vault: VaultReader) -> dict[Source, Reading]:
    sources = list(dict.fromkeys(_source(s) for s in pipeline.secrets))
    readings = await asyncio.gather(*(_read(pipeline, vault, source) for source in sources))
    return dict(zip(sources, readings, strict=True))


def _source(secret: Secret) -> Source:
    return secret.mount, secret.path, secret.version


async def _read(pipeline: EventPipeline, vault: VaultReader, source: Source) -> Reading:
    if pipeline.vault is None:
        return Stalled(Reason.INVALID_SPEC, "spec.vault is needed by spec.secrets")
    mount, path, version = source
    try:
        return await vault.read_kv(pipeline.key.namespace, pipeline.vault, mount, path, version)
    except ReconcileError as error:
        return error


async def _deliver(
    pipeline: EventPipeline, secret: Secret, reading: Reading, runtime: Runtime, key: bytes
) -> tuple[SecretReference | None, Problem | None]:
    try:
        record = _record(pipeline, secret, reading, key)
        await runtime.apply(pipeline, [record])
    except ReconcileError as error:
        return _last_good(pipeline, secret, runtime, Problem.of(error))
    return record.reference, None


def _record(pipeline: EventPipeline, secret: Secret, reading: Reading, key: bytes) -> SecretRecord:
    if isinstance(reading, ReconcileError):
        raise reading
    return build_secret(pipeline, secret, reading.values, reading.version, key)


def _last_good(
    pipeline: EventPipeline, secret: Secret, runtime: Runtime, problem: Problem
) -> tuple[SecretReference | None, Problem]:
    message = f"spec.secrets[{secret.name}]: {problem.message}"
    last = runtime.observe_secret(pipeline, secret.name, source_of(pipeline, secret))
    if last:
        name = runtime.secret_name(pipeline, last)
        message += f"; {name} (version {last.version}) stays in use"
    return last, replace(problem, message=message)
