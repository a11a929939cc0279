"""`graph`: services, workers and topics as a drawing, with the lag of who reads."""

import asyncio
from pathlib import Path

import click

from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.cli.dlq import bootstrap_option, open_kafka
from eventpipeline_operator.cli.drawing import draw
from eventpipeline_operator.cli.objects import read_object
from eventpipeline_operator.cli.picture import build_picture
from eventpipeline_operator.cli.records import Kafka
from eventpipeline_operator.cli.replay import find_group
from eventpipeline_operator.cli.session import Access, cluster_options, complete_name
from eventpipeline_operator.cli.svg import render_svg

NOT_REACHED = "no lag: {reason}"


@click.command("graph", short_help="The pipeline as a drawing, here or as SVG")
@click.argument("name", required=False, shell_complete=complete_name)
@click.option("-f", "--file", help="An object in a file instead of one in the cluster.")
@click.option("--svg", type=click.Path(dir_okay=False), help="Write an SVG there.")
@click.option("--lag/--no-lag", default=True, help="Ask Kafka how much waits.")
@bootstrap_option
@cluster_options
def command(
    *,
    access: Access,
    name: str | None,
    file: str | None,
    svg: str | None,
    lag: bool,
    bootstrap_servers: str | None,
) -> None:
    """Draw NAME of the cluster, or the object in a file."""
    if (name is None) == (file is None):
        raise click.UsageError("say which: NAME, or --file")
    lags: dict[str, int] = {}
    if file is not None:
        pipeline = _from_file(file, access.namespace)
    else:
        pipeline, kafka = asyncio.run(open_kafka(access, name or "", bootstrap_servers))
        lags = _read_lags(pipeline, kafka) if lag else {}
    picture = build_picture(pipeline)
    if svg:
        Path(svg).write_text(render_svg(picture, lags), encoding="utf-8")
        return
    click.echo(draw(picture, lags))


def _from_file(file: str, namespace: str | None) -> EventPipeline:
    body = read_object(file, namespace).body
    meta = {"uid": "", "generation": 1, **body["metadata"]}
    return parse({**body, "metadata": {**meta, "namespace": meta["namespace"] or "default"}})


def _read_lags(pipeline: EventPipeline, kafka: Kafka) -> dict[str, int]:
    """By group; a Kafka that is not reached from here only leaves the numbers out."""
    lags = {}
    try:
        for process in build_picture(pipeline).processes:
            if process.consumes:
                group, topics = find_group(pipeline, str(process), None)
                lags[group] = kafka.lag(group, topics)
    except click.ClickException as error:
        click.echo(NOT_REACHED.format(reason=error.message), err=True)
    return lags
