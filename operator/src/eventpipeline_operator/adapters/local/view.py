"""What there is to see of everything that runs here, and how one sight differs from the last. Pure.

A screen (screen.py) draws the whole; where nobody looks, only what has changed is told in lines.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """Sections, in the order of the steps that bring them about."""

    SERVER = "server"
    TOPIC = "topic"
    SECRET = "secret"  # noqa: S105 - a section's name
    MIGRATION = "migration"
    PROCESS = "process"


class Mood(StrEnum):
    """How a row is to be taken."""

    GOOD = "good"
    BUSY = "busy"
    BAD = "bad"


@dataclass(frozen=True)
class Row:
    """One thing: its state in a word, and what else there is to know by name."""

    kind: Kind
    name: str
    state: str
    mood: Mood = Mood.GOOD
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """One pipeline as a whole."""

    name: str
    ready: bool
    reason: str
    message: str = ""
    url: str | None = None


@dataclass(frozen=True)
class View:
    """All of it at one moment."""

    sites: tuple[Site, ...] = ()
    rows: tuple[Row, ...] = ()
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether every pipeline is ready."""
        return bool(self.sites) and all(site.ready for site in self.sites)

    def of(self, kind: Kind) -> tuple[Row, ...]:
        """The rows of a section."""
        return tuple(row for row in self.rows if row.kind is kind)


def describe_changes(before: View, after: View) -> Iterator[str]:
    """One line for each thing that is otherwise than before; details alone are no news."""
    yield from (note for note in after.notes if note not in before.notes)
    known = {(r.kind, r.name): r for r in before.rows}
    for row in after.rows:
        was = known.pop((row.kind, row.name), None)
        if was is None or was.state != row.state:
            yield describe_row(row)
    # A server stays as long as the run; it may be called otherwise once it is known what it is.
    yield from (f"{kind} {name}: gone" for kind, name in known if kind is not Kind.SERVER)
    yield from (f"error: {error}" for error in after.errors if error not in before.errors)
    sites = {site.name: site for site in before.sites}
    for site in after.sites:
        earlier = sites.get(site.name)
        if earlier is None or (earlier.ready, earlier.reason) != (site.ready, site.reason):
            yield describe_site(site)


def describe_row(row: Row) -> str:
    """A row as a line."""
    details = ", ".join(f"{name} {value}" for name, value in row.details.items() if value)
    return f"{row.kind} {row.name}: {row.state}{f' ({details})' if details else ''}"


def describe_site(site: Site) -> str:
    """A pipeline as a line."""
    if site.ready:
        return f"{site.name}: ready{f', {site.url}' if site.url else ''}"
    return f"{site.name}: {site.reason}{f': {site.message}' if site.message else ''}"


def describe_section(rows: tuple[Row, ...]) -> str:
    """How many of a section are well, in few words."""
    good = sum(row.mood is Mood.GOOD for row in rows)
    return f"{good}/{len(rows)}"
