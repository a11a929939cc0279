"""Stages as one picture: objects Ready, cores and memory over time."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from operatorbench.results import Stage

ROWS = (("ready", "objects Ready"), ("cores", "operator: cores"), ("rss_mib", "operator: MiB"))


def draw(stages: Sequence[Stage], path: Path) -> Path:
    """One column per stage that has series."""
    mpl.use("Agg")
    shown = [stage for stage in stages if stage.series]
    figure = Figure(figsize=(4.2 * len(shown), 9), layout="constrained")
    grid = figure.subplots(len(ROWS), len(shown), squeeze=False)
    for column, stage in enumerate(shown):
        grid[0][column].set_title(stage.title, fontsize="small")
        for row, (name, label) in enumerate(ROWS):
            axes = grid[row][column]
            points = stage.series.get(name)
            if points:
                x, y = zip(*points, strict=True)
                axes.plot(x, y, linewidth=1.2)
                axes.set_ylim(bottom=0)
            axes.set_ylabel(label)
            axes.grid(visible=True, alpha=0.3)
        grid[-1][column].set_xlabel("seconds")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    return path
