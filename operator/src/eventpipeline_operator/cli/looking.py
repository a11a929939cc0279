"""Reads what a plan compares with: the object, its children, its topics, versions in Vault."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

import click

from eventpipeline_operator.adapters.kafka import KafkaAdmin
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity
from eventpipeline_operator.adapters.kube.client import FORBIDDEN, NOT_FOUND, ApiError
from eventpipeline_operator.adapters.kube.resources import (
    OPTIONAL,
    PIPELINE,
    SECRET,
    WATCHED,
    Json,
    Kind,
    Ref,
)
from eventpipeline_operator.adapters.kube.tokens import KubeTokens
from eventpipeline_operator.api import labels
from eventpipeline_operator.api.observed import ObservedTopic
from eventpipeline_operator.api.types import EventPipeline, KafkaAccess
from eventpipeline_operator.cli.changes import Sight
from eventpipeline_operator.cli.schema import ADDRESS, Schema, spec_schema
from eventpipeline_operator.cli.session import Session, refuse_to_write
from eventpipeline_operator.desired.topics import build_topics
from eventpipeline_operator.errors import Retryable

LOOKED_AT = tuple(kind for kind in (*WATCHED, *OPTIONAL) if kind is not SECRET)
NOT_INSTALLED = (
    "this cluster knows no EventPipeline: install the chart eventpipeline, or choose another "
    "--context"
)


@dataclass(frozen=True)
class Reach:
    """How far a plan looks, and how it gets there from where it runs."""

    kafka: bool = True
    bootstrap_servers: str | None = None
    traefik_class: str | None = None

    def access(self, pipeline: EventPipeline) -> KafkaAccess:
        """The pipeline's Kafka, under the address that is good for us."""
        servers = self.bootstrap_servers or pipeline.bootstrap_servers
        return replace(pipeline.kafka_access, servers=servers)


def build_security(session: Session) -> KafkaSecurity:
    """The pipeline's own identity: the operator's is for the operator alone."""
    return KafkaSecurity(KubeTokens(session.client).contents, session.namespace, {})


async def read_schema(session: Session) -> Schema:
    """The schema of spec, as this cluster has it."""
    try:
        return spec_schema(await session.client.read(ADDRESS))
    except (ApiError, KeyError) as error:
        if isinstance(error, ApiError) and error.status != NOT_FOUND:
            raise
        raise click.ClickException(NOT_INSTALLED) from error


async def look(session: Session, pipeline: EventPipeline, reach: Reach) -> Sight:
    """What there is of a pipeline; Vault apart."""
    body = await session.client.get(Ref(PIPELINE.name, *pipeline.key))
    return Sight(
        body=body,
        children=tuple(await _children(session, pipeline)),
        topics=await _topics(session, pipeline, reach) if reach.kafka else None,
        traefik_class=reach.traefik_class,
    )


async def _children(session: Session, pipeline: EventPipeline) -> list[Json]:
    selector = f"{labels.SELECTOR},{labels.PIPELINE}={pipeline.key.name}"
    listed = await asyncio.gather(*(_of_kind(session, kind, selector) for kind in LOOKED_AT))
    return [child for children in listed for child in children]


async def _of_kind(session: Session, kind: Kind, selector: str) -> list[Json]:
    """Items of a list do not carry their kind."""
    try:
        found = [live async for live in session.items(kind, session.namespace, selector)]
    except ApiError as error:
        if kind in OPTIONAL and error.status in (NOT_FOUND, FORBIDDEN):
            return []
        raise
    return [{"kind": kind.name, "apiVersion": kind.api_version, **live} for live in found]


async def _topics(
    session: Session, pipeline: EventPipeline, reach: Reach
) -> Mapping[str, ObservedTopic]:
    kafka = KafkaAdmin(build_security(session), refuse_to_write)
    records = build_topics(pipeline)
    own = [r.name for r in records if not r.external]
    try:
        return await kafka.describe(reach.access(pipeline), [r.name for r in records], own)
    except Retryable as error:
        way_out = "say where it is reached from here with --bootstrap-servers, or --skip-kafka"
        raise Retryable(error.reason, f"{error.message}: {way_out}") from error
