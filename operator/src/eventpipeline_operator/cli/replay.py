"""`replay`: take a worker's consumer group back (or forth) to a point, while nobody is in it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click
from confluent_kafka import Consumer, TopicPartition

from eventpipeline_operator.api import names
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.cli.dlq import bootstrap_option, open_kafka
from eventpipeline_operator.cli.output import (
    format_output,
    output_option,
    render_table,
    terminal_width,
)
from eventpipeline_operator.cli.records import SECONDS, partitions
from eventpipeline_operator.cli.session import Access, cluster_options, name_argument

EARLIEST, LATEST = "earliest", "latest"
INHABITED = (
    "group {group} has {members}: set replicas of {worker} to 0 in the object, and wait until its "
    "pods are gone"
)
FENCED = (
    "A service on eventbus begins where its own table consumer_offset says, whatever Kafka says: "
    "give its worker another consumerGroup to have it read everything again."
)


@dataclass(frozen=True)
class Move:
    """One partition: where the group stands, and where it will."""

    topic: str
    partition: int
    before: int | None
    after: int

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        return {
            "topic": self.topic,
            "partition": self.partition,
            "from": self.before,
            "to": self.after,
        }


@click.command("replay", short_help="Reset a worker's consumer group to a point")
@name_argument
@click.argument("worker")
@click.option("--to", "point", required=True, help="earliest, latest, or a moment (ISO 8601).")
@click.option("-t", "--topic", help="This entry of spec.topics alone.")
@click.option("--dry-run", is_flag=True, help="Only say what would be.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@bootstrap_option
@output_option
@cluster_options
def command(  # noqa: PLR0913 - one for each option
    *,
    access: Access,
    name: str,
    worker: str,
    point: str,
    topic: str | None,
    dry_run: bool,
    yes: bool,
    bootstrap_servers: str | None,
    output: str,
) -> None:
    """Have WORKER (service/worker, or a service's name) read again from a point.

    Refused while the group has members: they would go on where they are.
    """
    moment = parse_point(point)
    pipeline, kafka = asyncio.run(open_kafka(access, name, bootstrap_servers))
    group, topics = find_group(pipeline, worker, topic)
    members = kafka.members(group)
    if members:
        count = f"{members} member{'s' if members > 1 else ''}"
        raise click.ClickException(INHABITED.format(group=group, members=count, worker=worker))
    with kafka.consumer(group) as consumer:
        moves = _plan(consumer, topics, moment)
        shown = {"group": group, "moves": [move.to_dict() for move in moves]}
        click.echo(format_output(output, shown, lambda: _render(group, moves)))
        if dry_run or not moves:
            return
        if not yes:
            click.confirm("move the group?", abort=True, err=True)
        targets = [TopicPartition(m.topic, m.partition, m.after) for m in moves]
        # The broker refuses it when somebody has joined since.
        consumer.commit(offsets=targets, asynchronous=False)
    click.echo(f"moved. {FENCED}", err=True)


def parse_point(text: str) -> str | int:
    """earliest, latest, or milliseconds since the epoch."""
    if text in (EARLIEST, LATEST):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"--to {text}: neither {EARLIEST} nor {LATEST} nor a moment like 2026-01-31T12:00:00Z"
        raise click.UsageError(msg) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def find_group(pipeline: EventPipeline, worker: str, entry: str | None) -> tuple[str, list[str]]:
    """The consumer group of a worker and the Kafka topics that it reads."""
    service_name, _, worker_name = worker.partition("/")
    service = next((s for s in pipeline.services if s.name == service_name), None)
    known_workers = {w.name: w.container for w in service.workers} if service else {}
    own = {"": service.container, names.API_WORKER: service.container} if service else {}
    container = {**own, **known_workers}.get(worker_name)
    if service is None or container is None:
        known = [f"{s.name}/{w.name}" for s in pipeline.services for w in s.workers]
        raise click.ClickException(f"no worker {worker}; there are {', '.join(known) or 'none'}")
    by_name = {t.name: names.kafka_name(pipeline.key, t) for t in pipeline.topics}
    entries = [e for e in container.consumes if entry in (None, e)]
    if not entries:
        raise click.ClickException(f"{worker} does not consume {entry or 'anything'}")
    group = container.consumer_group or names.consumer_group(
        pipeline.key, service.name, worker_name if worker_name in known_workers else None
    )
    return group, [by_name[e] for e in entries]


def _plan(consumer: Consumer, topics: Sequence[str], point: str | int) -> list[Move]:
    """The partitions that would move."""
    places = [place for topic in topics for place in partitions(consumer, topic)]
    committed = consumer.committed(places, timeout=SECONDS)
    moves = []
    for place, stands in zip(places, committed, strict=True):
        before = stands.offset if stands.offset >= 0 else None
        after = _offset(consumer, place, point)
        if after != before:
            moves.append(Move(place.topic, place.partition, before, after))
    return moves


def _offset(consumer: Consumer, place: TopicPartition, point: str | int) -> int:
    low, high = consumer.get_watermark_offsets(place, SECONDS)
    if point == EARLIEST:
        return int(low)
    if isinstance(point, str):
        return int(high)
    asked = TopicPartition(place.topic, place.partition, point)
    (found,) = consumer.offsets_for_times([asked], timeout=SECONDS)
    return int(found.offset) if found.offset >= 0 else int(high)


def _render(group: str, moves: Sequence[Move]) -> str:
    if not moves:
        return f"group {group} stands there already"
    rows = [
        [m.topic, str(m.partition), "—" if m.before is None else str(m.before), str(m.after)]
        for m in moves
    ]
    headers = ["TOPIC", "PARTITION", "FROM", "TO"]
    return f"group {group}\n{render_table(headers, rows, terminal_width())}"
