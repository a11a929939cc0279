"""Where everything of a picture stands: services in columns, each topic between its two sides.

A service stands one column right of those whose topics it reads; what flows back flows back.
Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from eventpipeline_operator.cli.picture import Picture, Process, TopicNode

MARGIN, TOP = 30, 70
LINE, HEAD, GAP = 22, 34, 34
LETTER = 8.0
BOX_LEAST, PILL_LEAST, PILL_HEIGHT = 150, 120, 36
AISLE = 100


@dataclass(frozen=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def middle(self) -> float:
        """Half of its height."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Layout:
    """Boxes by service and by topic, and how large all of it is."""

    services: Mapping[str, Box]
    topics: Mapping[str, Box]
    width: float
    height: float


def arrange(picture: Picture) -> Layout:
    """Place everything."""
    ranks = rank_services(picture)
    between = {t.name: _rank_of(t, picture, ranks) for t in picture.topics}
    columns = max([*ranks.values(), *between.values()], default=0) + 1
    services: dict[str, Box] = {}
    topics: dict[str, Box] = {}
    x, bottom = float(MARGIN), 0.0
    for column in range(columns):
        members = [s for s in picture.services if ranks[s] == column]
        width = max([BOX_LEAST, *(_service_width(picture, s) for s in members)])
        heights = [HEAD + LINE * len(picture.of(s)) for s in members]
        for (name, height), y in zip(
            zip(members, heights, strict=True), _stack(heights), strict=True
        ):
            services[name] = Box(x, y, width, height)
            bottom = max(bottom, y + height)
        x += (width if members else 0) + AISLE
        pills = [t for t in picture.topics if between[t.name] == column]
        pills.sort(key=lambda t: _height_of(t, picture))
        pill = max([PILL_LEAST, *(LETTER * len(topic_text(t)) + 30 for t in pills)])
        for topic, y in zip(pills, _stack([PILL_HEIGHT] * len(pills)), strict=True):
            topics[topic.name] = Box(x, y, pill, PILL_HEIGHT)
            bottom = max(bottom, y + PILL_HEIGHT)
        x += pill + AISLE if pills else 0
    return Layout(services, topics, x - AISLE + MARGIN, bottom + MARGIN)


def rank_services(picture: Picture) -> dict[str, int]:
    """Column of each service; a flow that would close a circle counts for nothing."""
    follows: dict[str, set[str]] = {s: set() for s in picture.services}
    for source, target in _flows(picture):
        if source != target and not _reaches(follows, target, source):
            follows[source].add(target)
    ranks = dict.fromkeys(picture.services, 0)
    for _ in picture.services:  # without circles the longest way has at most so many steps
        for source, targets in follows.items():
            for target in targets:
                ranks[target] = max(ranks[target], ranks[source] + 1)
    return ranks


def topic_text(topic: TopicNode) -> str:
    """What stands in its pill."""
    return f"{topic.name} (external)" if topic.external else f"{topic.name} ×{topic.partitions}"


def process_text(process: Process) -> str:
    """What stands in a service's box for one process."""
    return f"{process.name} {process.about}".strip()


def _flows(picture: Picture) -> Iterator[tuple[str, str]]:
    """From who writes a topic to who reads it, in the order of the services."""
    for writer in picture.processes:
        for reader in picture.processes:
            if set(writer.produces) & set(reader.consumes):
                yield writer.service, reader.service


def _reaches(follows: Mapping[str, set[str]], start: str, goal: str) -> bool:
    waiting, seen = [start], set()
    while waiting:
        here = waiting.pop()
        if here == goal:
            return True
        if here not in seen:
            seen.add(here)
            waiting.extend(follows[here])
    return False


def _rank_of(topic: TopicNode, picture: Picture, ranks: Mapping[str, int]) -> int:
    """Right of the leftmost that has to do with it; left of its readers when nobody writes it."""
    writers = [ranks[p.service] for p in picture.processes if topic.name in p.produces]
    readers = [ranks[p.service] for p in picture.processes if topic.name in p.consumes]
    if not writers:
        return max(0, min(readers, default=0) - 1)
    return min(writers + readers)


def _height_of(topic: TopicNode, picture: Picture) -> float:
    """Beside those that have to do with it: their mean place, so that few lines cross."""
    places = [
        n for n, p in enumerate(picture.processes) if topic.name in (*p.produces, *p.consumes)
    ]
    return sum(places) / len(places) if places else 0.0


def _service_width(picture: Picture, service: str) -> float:
    texts = [service, *(process_text(p) for p in picture.of(service))]
    texts += [path for path, to in picture.routes if to == service]
    return LETTER * max(map(len, texts)) + 50


def _stack(heights: list[float] | list[int]) -> Iterator[float]:
    y = float(TOP)
    for height in heights:
        yield y
        y += height + GAP
