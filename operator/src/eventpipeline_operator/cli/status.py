"""`status`: what there is, what is the matter with it, and how it changes while one looks."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import click

from eventpipeline_operator.adapters.kube.resources import DEPLOYMENT, JOB, PIPELINE, POD, Kind
from eventpipeline_operator.api import labels
from eventpipeline_operator.cli.output import format_output, output_option, terminal_width
from eventpipeline_operator.cli.overview import (
    build_list,
    build_overview,
    render_list,
    render_overview,
)
from eventpipeline_operator.cli.session import (
    Access,
    Session,
    cluster_options,
    complete_name,
    connect,
)
from eventpipeline_operator.cli.watching import Target, redraw

Look = Callable[[], Awaitable[str]]
CHILDREN = (DEPLOYMENT, JOB, POD)


@click.command("status", short_help="Conditions, topics, secrets and workloads")
@click.argument("name", required=False, shell_complete=complete_name)
@click.option("-A", "--all-namespaces", is_flag=True, help="List the pipelines of all namespaces.")
@click.option("-w", "--watch", is_flag=True, help="Stay, and show every change.")
@output_option
@cluster_options
def command(
    *, access: Access, name: str | None, all_namespaces: bool, watch: bool, output: str
) -> None:
    """Show one pipeline in full, or list those of a namespace."""
    if name and all_namespaces:
        raise click.UsageError("a name is of one namespace: leave out NAME or --all-namespaces")
    asyncio.run(_run(access, name, everywhere=all_namespaces, watch=watch, output=output))


async def _run(
    access: Access, name: str | None, *, everywhere: bool, watch: bool, output: str
) -> None:
    async with connect(access) as session:
        scope = None if everywhere else session.namespace

        async def look() -> str:
            if name:
                return await _look_at_one(session, name, output)
            return await _look_at_all(session, scope, output)

        if not watch:
            click.echo(await look())
            return
        with suppress(asyncio.CancelledError):  # Ctrl-C is how one leaves
            await redraw(session.client, _targets(scope, name), look)


async def _look_at_all(session: Session, scope: str | None, output: str) -> str:
    found = build_list([body async for body in session.items(PIPELINE, scope)])
    return format_output(
        output, found, lambda: render_list(found, datetime.now(UTC), terminal_width())
    )


async def _look_at_one(session: Session, name: str, output: str) -> str:
    body = await session.read_pipeline(name)
    selector = f"{labels.SELECTOR},{labels.PIPELINE}={name}"
    children: dict[str, list[Any]] = {
        kind.name: [live async for live in session.items(kind, session.namespace, selector)]
        for kind in CHILDREN
    }
    overview = build_overview(body, children)
    return format_output(
        output, overview, lambda: render_overview(overview, datetime.now(UTC), terminal_width())
    )


def _targets(scope: str | None, name: str | None) -> list[Target]:
    if name is None:
        return [Target(PIPELINE.path(scope), ())]
    kinds: tuple[Kind, ...] = CHILDREN
    selector = ("labelSelector", f"{labels.SELECTOR},{labels.PIPELINE}={name}")
    return [
        Target(PIPELINE.path(scope), (("fieldSelector", f"metadata.name={name}"),)),
        *(Target(kind.path(scope), (selector,)) for kind in kinds),
    ]
