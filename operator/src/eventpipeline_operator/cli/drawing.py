"""A picture → lines of a terminal: routes, calls, then each topic between who writes and reads it.

Pure.
"""

from collections.abc import Iterator
from itertools import zip_longest

import click

from eventpipeline_operator.cli.picture import Lags, Picture, TopicNode

ARROW = "──▶"
Row = tuple[str, str, str, str]


def draw(picture: Picture, lags: Lags) -> str:
    """All of it."""
    blocks = [
        click.style(picture.title, bold=True) + (f"  {picture.host}" if picture.host else ""),
        "\n".join(_services(picture)),
        "\n".join(_flows(picture, lags)),
    ]
    return "\n\n".join(block for block in blocks if block)


def _services(picture: Picture) -> Iterator[str]:
    """A line for each service: how it is reached, its processes, whom it calls."""
    paths = {s: [p for p, to in picture.routes if to == s] for s in picture.services}
    width = max((len(path) for path, _ in picture.routes), default=0)
    name_width = max((len(s) for s in picture.services), default=0)
    for service in picture.services:
        path = ", ".join(paths[service]).ljust(width)
        arrow = ARROW if paths[service] else " " * len(ARROW)
        processes = ", ".join(f"{p.name} {p.about}".strip() for p in picture.of(service))
        calls = [callee for caller, callee in picture.calls if caller == service]
        told = f"  calls {', '.join(calls)}" if calls else ""
        lead = f"{path} {arrow} " if width else ""
        yield f"{lead}{_service_text(service.ljust(name_width))}  {processes}{told}".rstrip()


def _flows(picture: Picture, lags: Lags) -> Iterator[str]:
    rows = [row for topic in picture.topics for row in _topic_rows(picture, topic, lags)]
    left, middle, right = (max((len(row[i]) for row in rows), default=0) for i in range(3))
    for producer, topic, consumer, lag in rows:
        into = ARROW if producer else "   "
        out = ARROW if consumer else "   "
        yield (
            f"{_service_text(producer.ljust(left))} {into} "
            f"{click.style(topic.ljust(middle), fg='yellow')} {out} "
            f"{_service_text(consumer.ljust(right))}  {lag}"
        ).rstrip()


def _topic_rows(picture: Picture, topic: TopicNode, lags: Lags) -> Iterator[Row]:
    """As many lines as there are writers or readers; the topic stands in the first."""
    producers = [str(p) for p in picture.processes if topic.name in p.produces]
    consumers = [p for p in picture.processes if topic.name in p.consumes]
    name = f"({topic.name} ×{topic.partitions})"
    if topic.external:
        name = f"({topic.name}, external)"
    first = True
    for producer, consumer in zip_longest(producers or [""], consumers):
        lag = lags.get(consumer.group) if consumer else None
        yield (
            producer or "",
            name if first else "",
            str(consumer) if consumer else "",
            "" if lag is None else f"lag {lag}",
        )
        first = False


def _service_text(text: str) -> str:
    return click.style(text, fg="cyan")
