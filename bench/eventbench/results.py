"""What a run found, in the format that `bench/compare` and others read.

`services.json`: headline figures at the top, then one entry per stage with its own figures, counts,
percentiles, the raw histograms and series. README.md describes every member; a change of meaning
takes a new `format`.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = "eventpipeline-bench/1"

# Headline member → stage and figure it is taken from.
HEADLINES = {
    "post_direct_rps": ("post-direct", "rps"),
    "post_direct_p99_ms": ("post-direct-half", "post_p99_ms"),
    "post_ingress_rps": ("post-ingress", "rps"),
    "sustained_rps": ("sustained-zipf", "rps"),
    "sustained_confirmed_p99_ms": ("sustained-zipf", "confirmed_p99_ms"),
    "sustained_outbox_age_s": ("sustained-zipf", "outbox_age_max_s"),
    "drain_mails_per_s": ("drain", "mails_per_s"),
    "rss_mib": ("sustained-zipf", "pss_mib"),
    "api_ready_s": ("start", "ready_s"),
}


@dataclass
class Counts:
    """What became of the requests of one stage; `None` where a stage cannot tell."""

    sent: int = 0
    accepted: int = 0
    refused: int = 0
    unknown: int = 0
    finished: int = 0
    mailed: int = 0
    lost: int = 0
    doubled: int = 0
    notes: list[str] = field(default_factory=list)

    def lose(self, count: int, what: str) -> None:
        """Count something that should be there and is not."""
        if count:
            self.lost += count
            self.notes.append(f"lost {count}: {what}")

    def double(self, count: int, what: str) -> None:
        """Count something that is there more often than once."""
        if count:
            self.doubled += count
            self.notes.append(f"doubled {count}: {what}")


@dataclass
class ProcessUse:
    """One process tree over one stage."""

    name: str
    processes: int
    cpu_seconds: float
    cpu_us_per_message: float
    pss_mib: float


Series = list[tuple[float, float]]


@dataclass
class Stage:
    """One measurement."""

    name: str
    title: str
    figures: dict[str, float] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    percentiles_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    histograms_us: dict[str, dict[str, int]] = field(default_factory=dict)
    series: dict[str, Series] = field(default_factory=dict)
    processes: list[ProcessUse] = field(default_factory=list)


def summarize(stages: list[Stage]) -> dict[str, float | None]:
    """The headline figures; a stage that did not run leaves null."""
    by_name = {stage.name: stage for stage in stages}
    headline: dict[str, float | None] = {}
    for member, (stage, figure) in HEADLINES.items():
        headline[member] = by_name[stage].figures.get(figure) if stage in by_name else None
    headline["lost"] = sum(stage.counts.lost for stage in stages)
    headline["doubled"] = sum(stage.counts.doubled for stage in stages)
    return headline


def write_results(path: Path, context: dict[str, Any], stages: list[Stage]) -> None:
    """Write the file that `read_results` reads."""
    content = {
        "format": FORMAT,
        **summarize(stages),
        "context": context,
        "stages": [asdict(stage) for stage in stages],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def read_results(path: Path) -> dict[str, Any]:
    """A result file; refuses formats that it does not know."""
    content: dict[str, Any] = json.loads(path.read_text())
    if content.get("format") != FORMAT:
        raise ValueError(f"{path}: format {content.get('format')!r}, expected {FORMAT!r}")
    return content
