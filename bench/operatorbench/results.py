"""What a run found: the file `operator.json` and the table.

Headline figures stand at the top, then one entry per stage with its figures, the raw samples and
series. bench/README.md describes every member; a change of meaning takes a new `format`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from eventbench.table import render_rows

FORMAT = "eventpipeline-operator-bench/1"
Series = list[tuple[float, float]]


@dataclass
class Stage:
    """One measurement."""

    name: str
    title: str
    figures: dict[str, float] = field(default_factory=dict)
    counts: dict[str, Mapping[str, float]] = field(default_factory=dict)
    samples: dict[str, list[float]] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)


@dataclass(frozen=True)
class Headline:
    """A member of the file: the stages and the figure it is the greatest of, and its bound."""

    stages: tuple[str, ...]
    figure: str
    bound: float


# The bounds are those of full size: 1,000 topics, 1,000 objects, 200 services.
HEADLINES: Mapping[str, Headline] = {
    "topics_1000_seconds": Headline(("topics-one",), "seconds", 3),
    "topics_1000_fifty_seconds": Headline(("topics-fifty",), "seconds", 5),
    "rss_mib": Headline(("topics-one", "topics-fifty"), "rss_mib", 120),
    "services_200_seconds": Headline(("services",), "seconds_after_last_apply", 8),
    "writes_per_child": Headline(("services", "full"), "writes_per_child", 1),
    "status_patches_per_generation": Headline(("services", "full"), "status_patches", 2),
    "writes_at_rest": Headline(("rest",), "writes", 0),
    "writes_after_restart": Headline(("restart",), "writes", 0),
    "verified_after_restart_seconds": Headline(("restart",), "seconds", 10),
    "repaired_after_restart_seconds": Headline(("drift",), "seconds", 10),
    "rss_full_mib": Headline(("full", "rest", "restart"), "rss_mib", 250),
}


def summarize(stages: Sequence[Stage]) -> dict[str, float | None]:
    """The headline figures; stages that did not run leave null."""
    by_name = {stage.name: stage for stage in stages}
    summary: dict[str, float | None] = {}
    for member, headline in HEADLINES.items():
        found = [by_name[name].figures for name in headline.stages if name in by_name]
        values = [figures[headline.figure] for figures in found if headline.figure in figures]
        summary[member] = max(values) if values else None
    return summary


def broken_bounds(summary: Mapping[str, float | None]) -> list[str]:
    """The headline figures that are beyond their bound."""
    return [
        f"{member} is {value:g}, the bound is {HEADLINES[member].bound:g}"
        for member, value in summary.items()
        if value is not None and value > HEADLINES[member].bound
    ]


def write_results(path: Path, context: Mapping[str, Any], stages: Sequence[Stage]) -> None:
    """Write the file."""
    content = {
        "format": FORMAT,
        **summarize(stages),
        "context": context,
        "stages": [asdict(stage) for stage in stages],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def render_stage(stage: Stage) -> str:
    """Title, figures, and what was asked of whom."""
    figures = "  ".join(f"{name} {value:g}" for name, value in stage.figures.items())
    lines = [stage.title, f"  {figures}"]
    for name, counts in stage.counts.items():
        shown = ", ".join(f"{what} {count:g}" for what, count in sorted(counts.items())) or "none"
        lines.append(f"  {name}: {shown}")
    return "\n".join(lines)


def render_summary(summary: Mapping[str, float | None]) -> str:
    """Headline figures beside their bounds."""
    rows = [["figure", "found", "at most"]]
    for member, value in summary.items():
        bound = f"{HEADLINES[member].bound:g}"
        rows.append([member, "-" if value is None else f"{value:g}", bound])
    return render_rows(rows)
