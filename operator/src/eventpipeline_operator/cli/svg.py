"""A picture and its layout → an SVG that needs nothing else to be looked at. Pure."""

from collections.abc import Iterator
from xml.sax.saxutils import escape

from eventpipeline_operator.cli.layout import (
    HEAD,
    LINE,
    Box,
    Layout,
    arrange,
    process_text,
    topic_text,
)
from eventpipeline_operator.cli.picture import Lags, Picture, Process

STYLE = """
    .svc { fill: #e3f2fd; stroke: #1565c0; stroke-width: 1.5; }
    .topic { fill: #fff3e0; stroke: #ef6c00; stroke-width: 1.5; }
    .foreign { stroke-dasharray: 5 4; }
    .line { stroke: #37474f; stroke-width: 1.5; fill: none; marker-end: url(#tip); }
    .call { stroke: #1565c0; stroke-width: 1.3; fill: none; stroke-dasharray: 5 4;
            marker-end: url(#tip); }
    .small { font-size: 12px; fill: #455a64; }
    .name { font-weight: bold; fill: #212121; }
    .lag { font-size: 12px; fill: #b71c1c; font-weight: bold; }
    .calm { fill: #2e7d32; }
"""
CALL_HEIGHT = 14  # beside the name
TIP = (
    '<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path d="M0 0 L10 5 L0 10 z" fill="#37474f"/></marker>'
)


def render_svg(picture: Picture, lags: Lags) -> str:
    """The whole document."""
    layout = arrange(picture)
    size = f"{layout.width:.0f} {layout.height:.0f}"
    fonts = 'font-family="Helvetica, Arial, sans-serif" font-size="14"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" {fonts}>',
        f"  <title>{escape(picture.title)}</title>",
        f"  <defs>{TIP}<style>{STYLE}</style></defs>",
        f'  <rect width="{layout.width:.0f}" height="{layout.height:.0f}" fill="#fafafa" rx="8"/>',
        _text(30, 38, " · ".join(filter(None, (picture.title, picture.host))), "name"),
        *_edges(picture, layout, lags),
        *_boxes(picture, layout),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _boxes(picture: Picture, layout: Layout) -> Iterator[str]:
    for service, box in layout.services.items():
        yield _rect(box, "svc", 6)
        paths = " ".join(path for path, to in picture.routes if to == service)
        yield _text(box.x + 12, box.y + 22, service, "name")
        yield _text(box.x + 2, box.y - 7, paths, "small") if paths else ""
        for process in picture.of(service):
            yield _text(
                box.x + 12, _line(picture, box, process) + 4, process_text(process), "small"
            )
    for topic in picture.topics:
        box = layout.topics[topic.name]
        yield _rect(box, "topic foreign" if topic.external else "topic", 18)
        yield _text(box.x + box.width / 2, box.middle + 5, topic_text(topic), "", "middle")


def _edges(picture: Picture, layout: Layout, lags: Lags) -> Iterator[str]:
    for process in picture.processes:
        service = layout.services[process.service]
        y = _line(picture, service, process)
        for entry in process.produces:
            yield _flow(service, y, layout.topics[entry], layout.topics[entry].middle)
        for entry in process.consumes:
            topic = layout.topics[entry]
            yield _flow(topic, topic.middle, service, y)
        if process.group in lags:
            nearest = layout.topics[process.consumes[0]]
            yield _lag(nearest, service, y, lags[process.group])
    for caller, callee in picture.calls:
        yield _call(layout.services[caller], layout.services[callee])


def _flow(start: Box, from_y: float, end: Box, to_y: float, kind: str = "line") -> str:
    """From the side that faces the other to the side that faces back."""
    forth = start.x < end.x
    x1, x2 = (start.right, end.x) if forth else (start.x, end.right)
    bend = (x2 - x1) / 2
    path = f"M{x1:.0f} {from_y:.0f} C{x1 + bend:.0f} {from_y:.0f} {x2 - bend:.0f} {to_y:.0f}"
    return f'  <path class="{kind}" d="{path} {x2:.0f} {to_y:.0f}"/>'


def _call(caller: Box, callee: Box) -> str:
    """Across, or around the left of two that stand above each other."""
    from_y, to_y = caller.y + CALL_HEIGHT, callee.y + CALL_HEIGHT
    if caller.x != callee.x:
        return _flow(caller, from_y, callee, to_y, "call")
    x, left = caller.x, caller.x - 25
    path = (
        f"M{x:.0f} {from_y:.0f} C{left:.0f} {from_y:.0f} {left:.0f} {to_y:.0f} {x:.0f} {to_y:.0f}"
    )
    return f'  <path class="call" d="{path}"/>'


def _lag(topic: Box, service: Box, y: float, lag: int) -> str:
    """Beside the reader's end of the edge."""
    forth = topic.x < service.x
    x, anchor = (service.x - 10, "end") if forth else (service.right + 10, "start")
    return _text(x, y - 6, f"lag {lag}", "lag calm" if lag == 0 else "lag", anchor)


def _line(picture: Picture, box: Box, process: Process) -> float:
    """The height of a process within its service's box."""
    return box.y + HEAD + LINE * picture.of(process.service).index(process) + LINE / 2 - 4


def _rect(box: Box, kind: str, radius: int) -> str:
    place = f'x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}"'
    return f'  <rect class="{kind}" {place} rx="{radius}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    place = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"'
    return f'  <text class="{kind}" {place}>{escape(text.strip())}</text>'
