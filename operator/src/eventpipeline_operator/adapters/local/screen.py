"""The screen of `eventpipeline dev`: drawn anew on a terminal, lines of what changed elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from eventpipeline_operator.adapters.local.view import (
    Kind,
    Mood,
    Row,
    Site,
    View,
    describe_changes,
    describe_section,
)

COLOURS = {Mood.GOOD: "green", Mood.BUSY: "yellow", Mood.BAD: "red"}
MARKS = {Mood.GOOD: "✓", Mood.BUSY: "…", Mood.BAD: "✗"}
TITLES = {
    Kind.SERVER: "servers",
    Kind.PROCESS: "processes",
    Kind.TOPIC: "topics",
    Kind.SECRET: "secrets",
    Kind.MIGRATION: "migrations",
}
WIDE = 130
SPOKEN_LINES, LEAST_SPOKEN_LINES = 8, 3
SQUEEZED = (Kind.SECRET, Kind.MIGRATION, Kind.TOPIC, Kind.SERVER, Kind.PROCESS)
FITS = (
    *((SQUEEZED[:folded], SPOKEN_LINES) for folded in range(len(SQUEEZED))),
    (SQUEEZED[:-1], LEAST_SPOKEN_LINES),
    (SQUEEZED, LEAST_SPOKEN_LINES),
)


class Screen(Protocol):
    """Where what happens is shown."""

    def show(self, view: View) -> None:
        """Show how things are now."""
        ...

    def say(self, words: str) -> None:
        """Show a line that was said once."""
        ...

    def close(self) -> None:
        """Show no more."""
        ...


def open_screen(output: TextIO, clock: Callable[[], float] = time.monotonic) -> Screen:
    """A screen where somebody looks, lines where nobody does."""
    return LiveScreen(output, clock) if output.isatty() else LineScreen(output, clock)


class LineScreen:
    """A line for each change, with the time since the start."""

    def __init__(self, output: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._began = clock()
        self._last = View()

    def show(self, view: View) -> None:
        """Tell what is new."""
        for line in describe_changes(self._last, view):
            self.say(line)
        self._last = view

    def say(self, words: str) -> None:
        """One line."""
        self._output.write(f"[{self._clock() - self._began:6.1f} s] {words}\n")
        self._output.flush()

    def close(self) -> None:
        """Nothing is to be undone."""


class LiveScreen:
    """The whole on the terminal's other screen; on the first one it ends with what was said."""

    def __init__(self, output: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._said: list[str] = []
        self._console = Console(file=output, highlight=False)
        self._live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip
        self._view = View()
        self._live.start()

    def show(self, view: View) -> None:
        """Draw it."""
        self._view = view
        elapsed = self._clock() - self._began
        self._live.update(Picture(view, self._said, elapsed), refresh=True)

    def say(self, words: str) -> None:
        """Keep the line in sight."""
        self._said.append(words)
        self.show(self._view)

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()
        for words in self._said:
            self._console.print(Text(words))


class Picture:
    """A view as it fits the terminal: what is well is folded to a line where space is short."""

    def __init__(self, view: View, said: Sequence[str], elapsed: float) -> None:
        self._view = view
        self._said = said
        self._elapsed = elapsed

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Fold sections and leave out what was said earlier, as far as is needed."""
        height = options.height or console.height
        for folded, spoken in FITS:
            drawn = Group(*self._parts(folded, spoken, options.max_width))
            lines = console.render_lines(drawn, options.update(height=None), pad=False)
            if len(lines) <= height:
                break
        yield drawn

    def _parts(self, folded: Sequence[Kind], spoken: int, width: int) -> Iterator[RenderableType]:
        yield Text(f"eventpipeline dev  {self._elapsed:.0f} s", style="dim")
        told = bool(self._view.errors)  # the sites would say the same again
        yield from (_site(site, brief=told) for site in self._view.sites)
        yield from (Text(f"  {note}", style="dim") for note in self._view.notes)
        yield from self._sections(folded, width)
        for error in self._view.errors:
            yield Text(f"✗ {error}", style="red")
        yield from (Text(f"  {words}") for words in self._said[-spoken:])
        yield Text("Ctrl-C stops everything", style="dim")

    def _sections(self, folded: Sequence[Kind], width: int) -> Iterator[RenderableType]:
        left = (Kind.SERVER, Kind.PROCESS)
        right = (Kind.TOPIC, Kind.SECRET, Kind.MIGRATION)
        columns = [
            Group(*(_section(kind, self._view.of(kind), kind in folded) for kind in kinds))
            for kinds in (left, right)
        ]
        if width < WIDE:
            yield from columns
            return
        grid = Table.grid(expand=True, padding=(0, 2))
        grid.add_column()
        grid.add_column(ratio=1)
        grid.add_row(*columns)
        yield grid


def _site(site: Site, *, brief: bool) -> Text:
    mood = Mood.GOOD if site.ready else Mood.BUSY
    text = Text.assemble((f"{MARKS[mood]} ", COLOURS[mood]), (site.name, "bold"), "  ")
    if site.url:
        text.append(f"{site.url}  ", "cyan")
    if site.ready:
        return text
    return text.append(site.reason if brief else f"{site.reason} {site.message}", "yellow")


def _section(kind: Kind, rows: tuple[Row, ...], folded: bool) -> RenderableType:  # noqa: FBT001
    if not rows:
        return Text("")
    well = all(row.mood is Mood.GOOD for row in rows)
    heading = Text(f"{TITLES[kind]} {describe_section(rows)}", style="bold")
    if folded:
        named = [row.name for row in rows if row.mood is not Mood.GOOD]
        return heading if well else heading.append(f"  {', '.join(named)}", "yellow")
    columns = [name for name in rows[0].details if name != "problem"]
    table = Table.grid(padding=(0, 2))
    for _ in range(3 + len(columns)):
        table.add_column(no_wrap=True)
    for row in rows:
        mark = Text(MARKS[row.mood], style=COLOURS[row.mood])
        told = (Text(_labelled(c, row.details.get(c, "")), style="dim") for c in columns)
        table.add_row(mark, row.name, Text(row.state, style=COLOURS[row.mood]), *told)
    return Group(heading, table)


def _labelled(label: str, value: str) -> str:
    return f"{label} {value}" if value else ""
