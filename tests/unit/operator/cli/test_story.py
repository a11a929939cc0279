from typing import Any

import click

from eventpipeline_operator.api.types import Key
from eventpipeline_operator.cli.story import build_story, render_story

Json = dict[str, Any]
KEY = Key("team", "shop")


def build_entry(generation: int, **parts: Any) -> Json:
    return {
        "generation": generation,
        "first": "2026-01-01T10:00:00Z",
        "last": "2026-01-01T10:00:09Z",
        "causes": {"change": 1, "child": 4},
        "differences": [],
        "calls": [],
        "results": [],
        **parts,
    }


def call(at: str, name: str) -> Json:
    return {"at": f"2026-01-01T10:00:{at}Z", "call": "apply", "object": name, "result": "created"}


def result(at: str, kind: str, status: str) -> Json:
    return {
        "at": f"2026-01-01T10:00:{at}Z", "type": kind, "status": status, "reason": "Because",
        "message": "that is why",
    }  # fmt: skip


def told(journal: list[Json], body: Json | None = None) -> list[list[str]]:
    story = build_story(KEY, body, {"generations": journal})
    return [line.split() for line in click.unstyle(render_story(story, 200)).splitlines()]


def test_a_generation_is_told_from_its_cause_to_its_result() -> None:
    entry = build_entry(
        2,
        differences=["spec.services[order].image order:1 → order:2"],
        calls=[call("01", "ConfigMap a"), call("05", "Deployment b")],
        results=[result("01", "WorkloadsReady", "False"), result("09", "Ready", "True")],
    )
    lines = told([entry])
    assert lines[0] == ["generation", "2", "2026-01-01T10:00:00Z", "to", "10:00:09"]
    assert [" ".join(line) for line in lines[2:9]] == [
        "cause the object changed",
        "cause something that belongs to it changed (4 times)",
        "difference spec.services[order].image order:1 → order:2",
        "10:00:01 call apply ConfigMap a: created",
        "✗ 10:00:01 result WorkloadsReady=False Because: that is why",
        "10:00:05 call apply Deployment b: created",
        "✓ 10:00:09 result Ready=True Because: that is why",
    ]


def test_calls_that_are_not_kept_are_counted() -> None:
    assert ["call", "(7", "earlier", "ones", "are", "not", "kept)"] in told(
        [build_entry(1, callsLeftOut=7)]
    )


def test_the_story_ends_with_the_present() -> None:
    ready = {"type": "Ready", "status": "False", "reason": "KafkaUnavailable", "message": "away"}
    body = {"metadata": {"generation": 2}, "status": {"conditions": [ready]}}
    assert told([build_entry(2)], body)[-1] == ["now:", "Ready=False", "KafkaUnavailable:", "away"]
    assert " ".join(told([build_entry(2)])[-1]) == "team/shop is not there any more"
