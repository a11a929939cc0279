"""What commands print: tables for people, JSON and YAML for programs."""

import json
import shutil
import textwrap
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click
import yaml

GAP = "  "
WIDE = 160
LEAST_WIDTH = 20
GOOD, BAD, PENDING = "✓", "✗", "…"
COLOURS = {GOOD: "green", BAD: "red", PENDING: "yellow"}
SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86400

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    help="For people, or for programs.",
)


def format_output(output: str, document: Any, render: Callable[[], str]) -> str:
    """A document in the form that was asked for, without the last line break."""
    if output == "json":
        return json.dumps(document, indent=2, ensure_ascii=False)
    if output == "yaml":
        text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        return text.rstrip()
    return render()


def terminal_width() -> int:
    """Columns to write in; wide where nobody looks."""
    return shutil.get_terminal_size((WIDE, 0)).columns


def render_table(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Columns as wide as they need; the last one is wrapped within the width."""
    table = [headers, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers) - 1)]
    left = sum(widths) + len(GAP) * len(widths)
    lines: list[str] = []
    for row in table:
        start = GAP.join(_mark(cell, size) for cell, size in zip(row, widths, strict=False))
        last = textwrap.wrap(row[-1], max(width - left, LEAST_WIDTH)) or [""]
        lines.append(f"{start}{GAP if widths else ''}{last[0]}".rstrip())
        lines += [" " * left + more for more in last[1:]]
    return "\n".join(lines)


def _mark(cell: str, size: int) -> str:
    padded = cell.ljust(size)
    return click.style(padded, fg=COLOURS[cell]) if cell in COLOURS else padded


def describe_age(since: str, now: datetime) -> str:
    """How long ago, as kubectl says it: its two largest units at most."""
    if not since:
        return ""
    seconds = max(0, int((now - datetime.fromisoformat(since)).total_seconds()))
    if seconds < 2 * MINUTE:
        return f"{seconds}s"
    if seconds < 3 * HOUR:
        return f"{seconds // MINUTE}m"
    if seconds < 2 * DAY:
        return f"{seconds // HOUR}h"
    return f"{seconds // DAY}d"
