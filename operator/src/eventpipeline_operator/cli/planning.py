"""A file and a cluster → a plan, and a plan → the one write that begins it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import click

from eventpipeline_operator.adapters.kube.resources import PIPELINE, Ref
from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.api.validation import validate
from eventpipeline_operator.cli.changes import Forecast, Sight
from eventpipeline_operator.cli.forecast import forecast
from eventpipeline_operator.cli.looking import Reach, look, read_schema
from eventpipeline_operator.cli.objects import read_object
from eventpipeline_operator.cli.schema import Schema, complain, with_defaults
from eventpipeline_operator.cli.session import Session
from eventpipeline_operator.cli.vault_versions import newest_versions, open_vault
from eventpipeline_operator.errors import Stalled

Json = dict[str, Any]


@dataclass(frozen=True)
class VaultAccess:
    """How the caller reaches Vault; without a token it is not asked."""

    address: str | None = None
    token: str | None = field(default=None, repr=False)
    authorities: str | None = None


@dataclass(frozen=True)
class Plan:
    """What was foreseen, of which object in which state."""

    wanted: Json
    uid: str | None
    resource_version: str | None
    forecast: Forecast
    reach: Reach

    def to_dict(self) -> Json:
        """For programs; the object itself is left out: it may hold what is not to be shown."""
        meta = self.wanted["metadata"]
        return {
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": self.uid,
            "resourceVersion": self.resource_version,
            **self.forecast.to_dict(),
        }

    def to_file(self) -> Json:
        """Everything that `apply` needs."""
        return {**self.to_dict(), "wanted": self.wanted, "reach": asdict(self.reach)}


async def parse_source(session: Session, file: str, namespace: str | None = None) -> Json:
    """The object of a file with its defaults; every complaint, with its line, at once."""
    source = read_object(file, namespace)
    body = source.body
    if body["metadata"]["namespace"] is None:
        body = {**body, "metadata": {**body["metadata"], "namespace": session.namespace}}
    schema = await read_schema(session)
    complaints = list(complain_of(body, schema))
    if complaints:
        raise click.ClickException("\n".join(source.locate(words) for words in complaints))
    return {**body, "spec": with_defaults(schema, body["spec"])}


def complain_of(body: Json, schema: Schema) -> list[str]:
    """What the API server, its policy and the operator would refuse."""
    spec = body.get("spec")
    if not isinstance(spec, dict):
        return ["spec: is needed"]
    complaints = list(complain(schema, spec))
    if complaints:
        return complaints
    try:
        return validate(_parsed({**body, "spec": with_defaults(schema, spec)}))
    except Stalled as error:
        return [error.message]


async def make_plan(session: Session, wanted: Json, reach: Reach, vault: VaultAccess) -> Plan:
    """Look, and foresee."""
    pipeline = _parsed(wanted)
    sight = await look(session, pipeline, reach)
    sight = await _with_versions(sight, pipeline, vault)
    meta: Mapping[str, Any] = (sight.body or {}).get("metadata", {})
    return Plan(
        wanted,
        meta.get("uid"),
        meta.get("resourceVersion"),
        forecast(wanted, sight),
        reach,
    )


async def carry_out(session: Session, plan: Plan) -> None:
    """Write the object exactly as planned, on exactly the object that was seen."""
    ref = Ref(PIPELINE.name, session.namespace, plan.wanted["metadata"]["name"])
    if plan.uid is None:
        await session.client.create(PIPELINE, session.namespace, plan.wanted)
        return
    live = await session.client.get(ref)
    if live is None:
        raise click.ClickException("the object is gone: make a new plan")
    meta, given = live["metadata"], plan.wanted["metadata"]
    for part in ("labels", "annotations"):
        if given.get(part):
            meta[part] = {**(meta.get(part) or {}), **given[part]}
    meta |= {"uid": plan.uid, "resourceVersion": plan.resource_version}
    meta.pop("managedFields", None)
    await session.client.replace(ref, {**live, "metadata": meta, "spec": plan.wanted["spec"]})


async def _with_versions(sight: Sight, pipeline: EventPipeline, access: VaultAccess) -> Sight:
    if pipeline.vault is None or not access.token:
        return sight
    address = access.address or pipeline.vault.address
    read = open_vault(address, access.token, pipeline.vault.namespace, access.authorities)
    versions, problems = await newest_versions(read, pipeline.secrets)
    return replace(sight, versions=versions, problems=tuple(problems))


def _parsed(body: Json) -> EventPipeline:
    return parse({**body, "metadata": {"uid": "", "generation": 1, **body["metadata"]}})
