"""`dlq`: the dead letters of an object's services: list them, look into one, send them again."""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.cli.letters import (
    Letter,
    choose,
    describe,
    letter_boxes,
    outline,
)
from eventpipeline_operator.cli.looking import build_security
from eventpipeline_operator.cli.output import (
    describe_age,
    format_output,
    output_option,
    render_table,
    terminal_width,
)
from eventpipeline_operator.cli.records import Kafka
from eventpipeline_operator.cli.session import Access, cluster_options, connect, name_argument

NONE = "no dead letters"
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]

bootstrap_option = click.option("--bootstrap-servers", help="Where Kafka is reached from here.")
reveal_option = click.option(
    "--reveal", is_flag=True, help="Show what is masked: content, addresses."
)
service_option = click.option("-s", "--service", help="Those of this service alone.")
cause_option = click.option("--cause", help="Those whose cause contains this.")
since_option = click.option("--since", type=click.DateTime(MOMENTS), help="Those since then, UTC.")
limit_option = click.option(
    "--limit", default=1000, show_default=True, help="How many are read of each topic, newest."
)


@click.group("dlq", short_help="Dead letters: list, show, redrive")
def command() -> None:
    """Records that a service could not take, in <topic>.<service>.dlq with their cause."""


@command.command("list", short_help="What was put aside, and why")
@name_argument
@service_option
@cause_option
@since_option
@limit_option
@reveal_option
@bootstrap_option
@output_option
@cluster_options
def list_command(  # noqa: PLR0913 - one for each option
    *,
    access: Access,
    name: str,
    service: str | None,
    cause: str | None,
    since: datetime | None,
    limit: int,
    reveal: bool,
    bootstrap_servers: str | None,
    output: str,
) -> None:
    """List the dead letters of an object, the oldest first."""
    _, letters = _read(access, name, service, bootstrap_servers, limit)
    chosen = choose(letters, (), cause, _utc(since))
    found = [outline(letter, reveal=reveal) for letter in chosen]
    click.echo(format_output(output, found, lambda: _render(found)))


@command.command("show", short_help="One of them, its content masked unless revealed")
@name_argument
@click.argument("letter")
@limit_option
@reveal_option
@bootstrap_option
@output_option
@cluster_options
def show_command(  # noqa: PLR0913 - one for each option
    *,
    access: Access,
    name: str,
    letter: str,
    limit: int,
    reveal: bool,
    bootstrap_servers: str | None,
    output: str,
) -> None:
    """Show one dead letter by the id that `list` gives."""
    _, letters = _read(access, name, None, bootstrap_servers, limit)
    found = choose(letters, [letter], None, None)
    if not found:
        raise click.ClickException(f"there is no dead letter {letter}: see eventpipeline dlq list")
    shown = describe(found[0], reveal=reveal)
    click.echo(format_output("yaml" if output == "text" else output, shown, str))


@command.command("redrive", short_help="Send them to their topic again")
@name_argument
@click.argument("letters", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that fit the other options.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@service_option
@cause_option
@since_option
@limit_option
@bootstrap_option
@cluster_options
def redrive_command(  # noqa: PLR0913 - one for each option
    *,
    access: Access,
    name: str,
    letters: tuple[str, ...],
    everything: bool,
    yes: bool,
    service: str | None,
    cause: str | None,
    since: datetime | None,
    limit: int,
    bootstrap_servers: str | None,
) -> None:
    """Send dead letters to the partition that they came from, as they were.

    Every group of that topic sees them again: services must take a record twice without harm, as
    those on eventbus do. The letters themselves stay where they are.
    """
    if bool(letters) == everything:
        raise click.UsageError("say which: ids as `list` gives them, or --all")
    kafka, known = _read(access, name, service, bootstrap_servers, limit)
    chosen = choose(known, letters, cause, _utc(since))
    missing = set(letters) - {letter.id for letter in chosen}
    if missing:
        raise click.ClickException(f"not there: {', '.join(sorted(missing))}")
    whole = [letter for letter in chosen if not letter.shortened]
    if len(whole) < len(chosen):
        left = ", ".join(letter.id for letter in chosen if letter.shortened)
        click.echo(f"too large to be carried whole, not sent: {left}", err=True)
    if not whole:
        click.echo(NONE)
        sys.exit(0 if not chosen else 1)
    if not yes:
        targets = ", ".join(sorted({letter.box.origin for letter in whole}))
        click.confirm(f"send {len(whole)} records to {targets} again?", abort=True)
    kafka.redrive(whole)
    click.echo(f"{len(whole)} sent")


def _read(
    access: Access, name: str, service: str | None, servers: str | None, limit: int
) -> tuple[Kafka, list[Letter]]:
    pipeline, kafka = asyncio.run(open_kafka(access, name, servers))
    boxes = [b for b in letter_boxes(pipeline) if service in (None, b.service)]
    if service and not boxes:
        raise click.ClickException(f"no service {service} that consumes anything in {name}")
    return kafka, [letter for box in boxes for letter in kafka.read_letters(box, limit)]


async def open_kafka(access: Access, name: str, servers: str | None) -> tuple[EventPipeline, Kafka]:
    """An object of the cluster, and its Kafka as the object's own client."""
    async with connect(access) as session:
        pipeline = parse(await session.read_pipeline(name))
        chosen = replace(pipeline.kafka_access, servers=servers or pipeline.bootstrap_servers)
        settings = await build_security(session).settings(chosen)
    return pipeline, Kafka(chosen.servers, settings)


def _render(found: list[dict[str, Any]]) -> str:
    now = datetime.now(UTC)
    rows = [
        [f["id"], describe_age(f["at"], now), f["type"], f["origin"], f["cause"]] for f in found
    ]
    headers = ["ID", "AGE", "TYPE", "ORIGIN", "CAUSE"]
    return render_table(headers, rows, terminal_width()) if rows else NONE


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None
