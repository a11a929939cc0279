"""A journal → what `explain` tells: one story for each generation, oldest first. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from eventpipeline_operator.api.conditions import ConditionType, Status, current
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.cli.output import BAD, GOOD, render_table

Json = dict[str, Any]
Row = tuple[str, str, str, str]

# The words of reconcile/queue.py's Wake, as a person would say them.
CAUSES = {
    "change": "the object changed",
    "child": "something that belongs to it changed",
    "retry": "tried again",
    "resync": "looked again after a while",
}


def build_story(key: Key, body: Json | None, journal: Mapping[str, Any]) -> Json:
    """The journal with the object's present state, where there is an object."""
    ready: Mapping[str, Any] = current((body or {}).get("status") or {}).get(
        ConditionType.READY, {}
    )
    return {
        "namespace": key.namespace,
        "name": key.name,
        "exists": body is not None,
        "generation": body["metadata"]["generation"] if body else None,
        "ready": {field: ready[field] for field in ("status", "reason", "message") if ready},
        "generations": [dict(entry) for entry in journal["generations"]],
    }


def render_story(story: Json, width: int) -> str:
    """The generations, and where it stands now."""
    blocks = [_render_generation(entry, width) for entry in story["generations"]]
    return "\n\n".join([*blocks, _render_end(story)])


def _render_generation(entry: Json, width: int) -> str:
    title = click.style(f"generation {entry['generation']}", bold=True)
    rows = [*_causes(entry), *_happenings(entry)]
    return f"{title}  {_span(entry)}\n{render_table(['', 'TIME', '', ''], rows, width)}"


def _causes(entry: Json) -> Iterator[Row]:
    for cause, times in entry["causes"].items():
        often = f" ({times} times)" if times > 1 else ""
        yield "", "", "cause", f"{CAUSES.get(cause, cause)}{often}"
    for difference in entry["differences"]:
        yield "", "", "difference", difference
    if entry.get("callsLeftOut"):
        yield "", "", "call", f"({entry['callsLeftOut']} earlier ones are not kept)"


def _happenings(entry: Json) -> list[Row]:
    """Calls and results in the order of their times; of one moment, calls come first."""
    calls: list[tuple[str, int, Row]] = [
        (
            call["at"],
            0,
            ("", _clock(call["at"]), "call", f"{call['call']} {call['object']}: {call['result']}"),
        )
        for call in entry["calls"]
    ]
    results: list[tuple[str, int, Row]] = [
        (result["at"], 1, (_mark(result), _clock(result["at"]), "result", _sentence(result)))
        for result in entry["results"]
    ]
    return [row for _, _, row in sorted(calls + results, key=lambda each: each[:2])]


def _mark(result: Mapping[str, Any]) -> str:
    return GOOD if result["status"] == Status.TRUE else BAD


def _sentence(result: Mapping[str, Any]) -> str:
    return f"{result['type']}={result['status']} {result['reason']}: {result['message']}"


def _span(entry: Json) -> str:
    first, last = entry["first"], entry["last"]
    end = _clock(last) if first[:10] == last[:10] else last
    return first if first == last else f"{first} to {end}"


def _clock(at: str) -> str:
    return at[11:19]


def _render_end(story: Json) -> str:
    if not story["exists"]:
        return f"{story['namespace']}/{story['name']} is not there any more"
    if not story["ready"]:
        return "now: the operator has not looked at it yet"
    ready = story["ready"]
    return f"now: Ready={ready['status']} {ready['reason']}: {ready['message']}"
