"""Step 2: every secret is delivered, from Vault or, while Vault is away, as it last was."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from eventpipeline_operator.api.conditions import ConditionType, Status, current
from eventpipeline_operator.api.observed import Problem, SecretItem, SecretsObservation
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Dynamic, EventPipeline, Kv, Secret
from eventpipeline_operator.desired.records import SecretRecord, SecretReference
from eventpipeline_operator.desired.secrets import build_secret, name_secret, source_of
from eventpipeline_operator.errors import ReconcileError, Stalled
from eventpipeline_operator.policies.leases import describe_staleness
from eventpipeline_operator.reconcile.leases import Leases
from eventpipeline_operator.reconcile.ports import KvValue, Runtime, VaultPort
from eventpipeline_operator.reconcile.recording import conceal

Delivered = Mapping[str, SecretReference]
Reading = KvValue | ReconcileError


@dataclass(frozen=True)
class Delivery:
    """What delivering needs; `now` is the time for messages."""

    vault: VaultPort
    runtime: Runtime
    leases: Leases
    key: bytes = field(repr=False)
    now: str


async def reconcile_secrets(
    pipeline: EventPipeline, delivery: Delivery
) -> tuple[SecretsObservation, Delivered]:
    """Read, render and deliver; an entry that fails does not keep the others back."""
    runtime = delivery.runtime
    readings = await _read_all(pipeline, delivery)
    results = await asyncio.gather(
        *(_deliver(pipeline, s, readings[s.name], delivery) for s in pipeline.secrets)
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


async def _read_all(pipeline: EventPipeline, delivery: Delivery) -> dict[str, Reading]:
    """What Vault says for each entry; entries of one kv secret share one read."""
    sources = list(dict.fromkeys(_source(s) for s in pipeline.secrets))
    readings = await asyncio.gather(*(_read(pipeline, delivery, *s) for s in sources))
    found = dict(zip(sources, readings, strict=True))
    return {s.name: found[_source(s)] for s in pipeline.secrets}


def _source(secret: Secret) -> tuple[str, Kv | Dynamic]:
    return ("" if isinstance(secret.vault, Kv) else secret.name, secret.vault)


async def _read(
    pipeline: EventPipeline, delivery: Delivery, entry: str, source: Kv | Dynamic
) -> Reading:
    vault = pipeline.vault
    if vault is None:
        return Stalled(Reason.INVALID_SPEC, "spec.vault is needed by spec.secrets")
    try:
        if isinstance(source, Dynamic):
            return await delivery.leases.read(pipeline, vault, entry, source.path)
        return await delivery.vault.read_kv(
            pipeline.key.namespace, vault, source.mount, source.path, source.version
        )
    except ReconcileError as error:
        return error


async def _deliver(
    pipeline: EventPipeline, secret: Secret, reading: Reading, delivery: Delivery
) -> tuple[SecretReference | None, Problem | None]:
    try:
        record = _record(pipeline, secret, reading, delivery.key)
        await delivery.runtime.apply(pipeline, [record])
    except ReconcileError as error:
        return _last_good(pipeline, secret, delivery, Problem.of(error))
    return record.reference, None


def _record(pipeline: EventPipeline, secret: Secret, reading: Reading, key: bytes) -> SecretRecord:
    if isinstance(reading, ReconcileError):
        raise reading
    conceal(reading.values.values())
    return build_secret(pipeline, secret, reading.values, reading.version, key)


def _last_good(
    pipeline: EventPipeline, secret: Secret, delivery: Delivery, problem: Problem
) -> tuple[SecretReference | None, Problem]:
    message = f"spec.secrets[{secret.name}]: {problem.message}"
    last = delivery.runtime.observe_secret(
        pipeline, name_secret(secret), source_of(pipeline, secret)
    )
    if last:
        name = delivery.runtime.secret_name(pipeline, last)
        age = describe_staleness(_failing_since(pipeline), delivery.now)
        message += f"; {name} (version {last.version}) stays in use, not confirmed {age}"
    return last, replace(problem, message=message)


def _failing_since(pipeline: EventPipeline) -> str | None:
    """Since when the secrets are not in sync; kept in status, so that a restart knows it."""
    condition = current(pipeline.status).get(ConditionType.SECRETS)
    if condition is None or condition["status"] == Status.TRUE:
        return None
    since: str = condition["lastTransitionTime"]
    return since
