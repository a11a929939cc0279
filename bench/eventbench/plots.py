"""Results as pictures: throughput and latency percentiles over time, one picture per stage."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eventbench.results import Stage

_LATENCIES = (("post", "tab:blue"), ("confirmed", "tab:green"), ("mailed", "tab:orange"))
_RATES = (
    ("answers_per_s", "answered", "tab:blue"),
    ("confirmed_per_s", "settled", "tab:green"),
    ("mailed_per_s", "mailed", "tab:orange"),
)


def draw_stages(stages: Sequence[Stage], directory: Path) -> list[Path]:
    """One PNG per stage that has series, and one over the ladder of rates."""
    mpl.use("Agg")
    drawn = [_draw_stage(stage, directory) for stage in stages if "answers_per_s" in stage.series]
    drawn += [_draw_stage(stage, directory) for stage in stages if stage.name == "drain"]
    ladder = [stage for stage in stages if stage.name.startswith("ladder-")]
    if len(ladder) > 1:
        drawn.append(_draw_ladder(ladder, directory))
    return drawn


def _draw_stage(stage: Stage, directory: Path) -> Path:
    figure = Figure(figsize=(10, 11), layout="constrained")
    rates, latencies, outbox, cpu = figure.subplots(4, 1, sharex=True)
    figure.suptitle(stage.title)
    for series, label, colour in _RATES:
        _plot(rates, stage, series, label, colour)
    rates.set_ylabel("per second")
    for name, colour in _LATENCIES:
        _plot(latencies, stage, f"{name}_p50_ms", f"{name} p50", colour, "--")
        _plot(latencies, stage, f"{name}_p99_ms", f"{name} p99", colour)
    latencies.set_ylabel("latency, ms")
    latencies.set_yscale("log")
    for name in sorted(name for name in stage.series if name.startswith("outbox_age_s.")):
        _plot(outbox, stage, name, name.partition(".")[2])
    outbox.set_ylabel("outbox age, s")
    for name in sorted(name for name in stage.series if name.startswith("cpu_share.")):
        _plot(cpu, stage, name, name.partition(".")[2])
    cpu.set_ylabel("cores used")
    cpu.set_xlabel("seconds")
    for axes in (rates, latencies, outbox, cpu):
        _finish(axes)
    return _save(figure, directory / f"{stage.name}.png")


def _draw_ladder(ladder: Sequence[Stage], directory: Path) -> Path:
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots()
    rates = [stage.figures["rps"] for stage in ladder]
    for name, colour in _LATENCIES:
        for percent, style in (("p50", "--"), ("p99", "-")):
            values = [stage.figures[f"{name}_{percent}_ms"] for stage in ladder]
            axes.plot(rates, values, style, marker="o", color=colour, label=f"{name} {percent}")
    axes.set_yscale("log")
    axes.set_xlabel("orders per second")
    axes.set_ylabel("latency, ms")
    figure.suptitle("Everything running, by rate")
    _finish(axes)
    return _save(figure, directory / "ladder.png")


def _plot(  # what matplotlib itself takes
    axes: Axes, stage: Stage, series: str, label: str, colour: str | None = None, style: str = "-"
) -> None:
    points = stage.series.get(series)
    if points:
        x, y = zip(*points, strict=True)
        axes.plot(x, y, style, color=colour, label=label, linewidth=1.2)


def _finish(axes: Axes) -> None:
    axes.grid(visible=True, alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right", fontsize="small", ncols=3)


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    return path
