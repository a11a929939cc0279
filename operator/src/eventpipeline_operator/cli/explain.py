"""`explain`: how an object came to be as it is, from the operator's journal."""

import asyncio
from collections.abc import Mapping
from typing import Any

import click

from eventpipeline_operator.adapters.kube.archive import KubeArchive
from eventpipeline_operator.adapters.kube.resources import PIPELINE, Ref
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.cli.output import format_output, output_option, terminal_width
from eventpipeline_operator.cli.session import (
    Access,
    cluster_options,
    connect,
    name_argument,
    operator_namespace_option,
)
from eventpipeline_operator.cli.story import build_story, render_story
from eventpipeline_operator.reconcile.journal import archive_key

NOTHING_KEPT = (
    "the operator keeps no journal of {key}: it has not looked at it yet, or lives in another "
    "namespace (--operator-namespace)"
)


@click.command("explain", short_help="Cause, difference, call and result of each generation")
@name_argument
@click.option("-g", "--generation", type=int, help="This generation alone.")
@operator_namespace_option
@output_option
@cluster_options
def command(
    *, access: Access, name: str, generation: int | None, operator_namespace: str, output: str
) -> None:
    """Say for each generation what caused it, what differed, what was done and what came of it.

    The operator keeps the last ten generations, without secrets, in its own namespace: reading
    them needs rights on ConfigMaps there.
    """
    story = asyncio.run(_read(access, name, operator_namespace))
    if generation is not None:
        told = [g for g in story["generations"] if g["generation"] == generation]
        if not told:
            raise click.ClickException(f"generation {generation} is not in the journal")
        story = {**story, "generations": told}
    click.echo(format_output(output, story, lambda: render_story(story, terminal_width())))


async def _read(access: Access, name: str, operator_namespace: str) -> dict[str, Any]:
    async with connect(access) as session:
        key = Key(session.namespace, name)
        body = await session.client.get(Ref(PIPELINE.name, *key))
        archive = KubeArchive(session.client, operator_namespace)
        journal: Mapping[str, Any] | None = await archive.read(archive_key(key))
        if journal is None and body is None:
            await session.read_pipeline(name)  # says that it is not there
        if journal is None:
            raise click.ClickException(NOTHING_KEPT.format(key=key))
        return build_story(key, body, journal)
