"""`logs`: what the pods of a service or worker say, as one stream in the order of time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

import aiohttp
import click

from eventpipeline_operator.adapters.kube.client import ApiError
from eventpipeline_operator.adapters.kube.pods import CONTAINER
from eventpipeline_operator.adapters.kube.resources import POD, Json, Ref
from eventpipeline_operator.api import labels, names
from eventpipeline_operator.cli.session import (
    Access,
    Session,
    cluster_options,
    connect,
    name_argument,
)

COLOURS = ("cyan", "magenta", "green", "yellow", "blue")
NEW_PODS_SECONDS = 2.0


class Line(NamedTuple):
    """One line of a pod; sorts by its time."""

    at: str
    pod: str
    text: str


class Life(NamedTuple):
    """A pod between two starts of its container, whose log ends with it."""

    pod: str
    restarts: int


@click.command("logs", short_help="Pods of a service or worker, interleaved")
@name_argument
@click.argument("workload", required=False)
@click.option("-f", "--follow", is_flag=True, help="Stay, and show what comes; new pods too.")
@click.option("--tail", type=int, default=100, show_default=True, help="Lines of each pod.")
@click.option("--since", type=int, metavar="SECONDS", help="Of the last seconds alone.")
@click.option("--previous", is_flag=True, help="Of the containers that ended last.")
@click.option("--timestamps", is_flag=True, help="With the time of each line.")
@cluster_options
def command(  # noqa: PLR0913 - one for each option
    *,
    access: Access,
    name: str,
    workload: str | None,
    follow: bool,
    tail: int,
    since: int | None,
    previous: bool,
    timestamps: bool,
) -> None:
    """Show the logs of NAME's pods: of all, of a service (order) or of a worker (order/relay)."""
    query = [("tailLines", str(tail)), *([("sinceSeconds", str(since))] if since else [])]
    query += [("previous", "true")] if previous else []
    asyncio.run(_run(access, name, workload, query, follow=follow, timestamps=timestamps))


async def _run(
    access: Access,
    name: str,
    workload: str | None,
    query: Sequence[tuple[str, str]],
    *,
    follow: bool,
    timestamps: bool,
) -> None:
    async with connect(access) as session:
        await session.read_pipeline(name)
        selector = select_pods(name, workload)
        printer = Printer(timestamps=timestamps)
        if follow:
            with suppress(asyncio.CancelledError):  # Ctrl-C is how one leaves
                await _follow(session, selector, query, printer)
            return
        pods = await _pods(session, selector)
        if not pods:
            raise click.ClickException(f"no pods of {workload or name}")
        read = await asyncio.gather(*(_read(session, pod, query) for pod in pods))
        for line in merge(read):
            printer.show(line)


def select_pods(name: str, workload: str | None) -> str:
    """A service's name selects its API and its workers, service/worker that worker alone."""
    selector = f"{labels.SELECTOR},{labels.PIPELINE}={name}"
    if not workload:
        return selector
    service, _, worker = workload.partition("/")
    if worker == names.API_WORKER:
        return f"{selector},{labels.WORKLOAD}={service}"
    if worker:
        return f"{selector},{labels.WORKLOAD}={names.workload_name(service, worker)}"
    return f"{selector},{labels.NAME}={service}"


def merge(read: Sequence[Sequence[Line]]) -> list[Line]:
    """In the order of time; what a pod says keeps its own order."""
    return sorted((line for lines in read for line in lines), key=lambda line: moment(line.at))


def moment(at: str) -> float:
    """Seconds; a line without a time is as early as can be."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return 0.0


def parse_line(pod: str, raw: str) -> Line:
    """A line as the kubelet gives it with timestamps."""
    at, _, text = raw.partition(" ")
    return Line(at, pod, text)


class Printer:
    """Prints lines behind the coloured name of their pod."""

    def __init__(self, *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._colours: dict[str, str] = {}

    def show(self, line: Line) -> None:
        """One line."""
        colour = self._colours.setdefault(line.pod, COLOURS[len(self._colours) % len(COLOURS)])
        time = f"{line.at} " if self._timestamps else ""
        click.echo(f"{click.style(line.pod, fg=colour)} {time}{line.text}")


async def _pods(session: Session, selector: str) -> list[str]:
    return [life.pod for life in await _lives(session, selector)]


async def _lives(session: Session, selector: str) -> list[Life]:
    found = [live async for live in session.items(POD, session.namespace, selector)]
    return sorted(Life(live["metadata"]["name"], _restarts(live)) for live in found)


def _restarts(pod: Json) -> int:
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return sum(each["restartCount"] for each in statuses if each["name"] == CONTAINER)


async def _lines(
    session: Session, pod: str, query: Sequence[tuple[str, str]]
) -> AsyncIterator[Line]:
    address = Ref(POD.name, session.namespace, pod).path + "/log"
    asked = [("container", CONTAINER), ("timestamps", "true"), *query]
    async for raw in session.client.lines(address, asked):
        yield parse_line(pod, raw)


async def _read(session: Session, pod: str, query: Sequence[tuple[str, str]]) -> list[Line]:
    """All lines of one pod; one that cannot be read says why, and the others go on."""
    try:
        return [line async for line in _lines(session, pod, query)]
    except ApiError as error:
        return [Line("", pod, f"(no log: {error.message})")]


async def _follow(
    session: Session, selector: str, query: Sequence[tuple[str, str]], printer: Printer
) -> None:
    """Follow the pods that there are, and whole what comes: pods, and containers that restart."""
    followed: dict[Life, asyncio.Task[None]] = {}
    shown: dict[str, str] = {}  # time of each pod's last line

    async def follow(life: Life, asked: Sequence[tuple[str, str]]) -> None:
        resumed = shown.get(life.pod, "")
        since = [("sinceTime", resumed)] if resumed else asked
        try:
            async for line in _lines(session, life.pod, [*since, ("follow", "true")]):
                if moment(line.at) > moment(resumed) or not resumed:
                    shown[life.pod] = line.at
                    printer.show(line)
        except (ApiError, aiohttp.ClientError, TimeoutError):  # it has not begun: tried again
            del followed[life]

    asked = query
    try:
        while True:
            for life in await _lives(session, selector):
                if life not in followed:
                    followed[life] = asyncio.create_task(follow(life, asked))
            await asyncio.sleep(NEW_PODS_SECONDS)
            asked = ()
    finally:
        for task in followed.values():
            task.cancel()
