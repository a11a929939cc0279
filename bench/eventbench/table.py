"""Results as text for a terminal."""

from collections.abc import Sequence
from typing import Any

from eventbench.results import Counts, Stage

_COLUMNS = (
    ("/s", "rps"),
    ("POST p50", "post_p50_ms"),
    ("p99", "post_p99_ms"),
    ("confirmed p50", "confirmed_p50_ms"),
    ("p99", "confirmed_p99_ms"),
    ("mailed p99", "mailed_p99_ms"),
    ("mails/s", "mails_per_s"),
    ("outbox s", "outbox_age_max_s"),
    ("PSS MiB", "pss_mib"),
    ("CPU µs/order", "cpu_us_per_order"),
)


def render_stages(stages: Sequence[Stage]) -> str:
    """One line per stage; latencies in milliseconds."""
    rows = [["stage", *(title for title, _ in _COLUMNS), "accepted", "lost", "doubled"]]
    for stage in stages:
        counts = stage.counts
        figures = [_shown(stage.figures.get(figure)) for _, figure in _COLUMNS]
        totals = [str(counts.accepted), str(counts.lost), str(counts.doubled)]
        rows.append([stage.name, *figures, *totals])
    return render_rows(rows)


def render_stage(stage: Stage) -> str:
    """Everything about one stage: title, figures, processes, notes."""
    figures = "  ".join(f"{name} {_shown(value)}" for name, value in stage.figures.items())
    lines = [f"{stage.title}", f"  {figures}"]
    if stage.processes:
        rows = [["process", "n", "CPU s", "µs/order", "PSS MiB"]]
        rows += [
            [
                use.name,
                str(use.processes),
                f"{use.cpu_seconds:.1f}",
                f"{use.cpu_us_per_message:.0f}",
                f"{use.pss_mib:.1f}",
            ]
            for use in stage.processes
        ]
        lines += [f"  {line}" for line in render_rows(rows).splitlines()]
    lines.append(f"  {_render_counts(stage.counts)}")
    lines += [f"  note: {note}" for note in stage.counts.notes]
    return "\n".join(lines)


def render_comparison(left: dict[str, Any], right: dict[str, Any], names: Sequence[str]) -> str:
    """Two result files side by side: headlines first, then each stage's figures."""
    rows = [["figure", *names, "change"]]
    rows += [
        _compare(member, left.get(member), right.get(member))
        for member in _numbers(left) | _numbers(right)
    ]
    stages = [
        {stage["name"]: stage["figures"] for stage in side["stages"]} for side in (left, right)
    ]
    for name in stages[0] | stages[1]:
        before, after = (side.get(name, {}) for side in stages)
        rows += [
            _compare(f"{name}.{figure}", before.get(figure), after.get(figure))
            for figure in before | after
        ]
    return render_rows(rows)


def render_rows(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need: the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _render_counts(counts: Counts) -> str:
    return (
        f"sent {counts.sent}, accepted {counts.accepted}, refused {counts.refused},"
        f" unknown {counts.unknown}, finished {counts.finished}, mailed {counts.mailed},"
        f" lost {counts.lost}, doubled {counts.doubled}"
    )


def _numbers(side: dict[str, Any]) -> dict[str, None]:
    return {
        member: None
        for member, value in side.items()
        if value is None or isinstance(value, int | float)
    }


def _compare(name: str, before: float | None, after: float | None) -> list[str]:
    change = "" if before is None or after is None or not before else f"{after / before - 1:+.1%}"
    return [name, _shown(before), _shown(after), change]


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.2f}"
