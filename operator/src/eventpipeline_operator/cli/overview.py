"""An object and its children → what `status` shows. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from eventpipeline_operator.adapters.kube.facts import summarise
from eventpipeline_operator.api import labels, names
from eventpipeline_operator.api.conditions import ConditionType, Status, current
from eventpipeline_operator.api.reasons import PROGRESS
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.cli.output import BAD, GOOD, PENDING, describe_age, render_table

Json = dict[str, Any]
NO_NAMES = "no EventPipeline here"


def build_list(bodies: Sequence[Json]) -> list[Json]:
    """The summaries of many objects."""
    return [_summary(body) for body in bodies]


def build_overview(body: Json, children: Mapping[str, Sequence[Json]]) -> Json:
    """All of one object; `children` are live ones by kind."""
    status = body.get("status") or {}
    return {
        **_summary(body),
        "suspended": bool(body["spec"].get("suspend", False)),
        "conditions": [dict(c) for c in status.get("conditions") or ()],
        "topics": _topics(body, status),
        "secrets": [dict(s) for s in status.get("secrets") or ()],
        "workloads": [
            *(_deployment(live) for live in children.get("Deployment", ())),
            *(_job(live) for live in children.get("Job", ())),
        ],
        "problems": [
            {"reason": str(problem.reason), "message": problem.message}
            for live in children.get("Pod", ())
            if (problem := summarise(live, "Pod").problem)
        ],
    }


def _summary(body: Json) -> Json:
    meta, status = body["metadata"], body.get("status") or {}
    ready: Mapping[str, Any] = current(status).get(ConditionType.READY, {})
    return {
        "namespace": meta["namespace"],
        "name": meta["name"],
        "generation": meta["generation"],
        "observedGeneration": status.get("observedGeneration", 0),
        "ready": ready.get("status", Status.UNKNOWN.value),
        "reason": ready.get("reason", ""),
        "message": ready.get("message", "the operator has not looked at it yet"),
        "topicsReady": (status.get("topics") or {}).get("summary", ""),
        "servicesReady": (status.get("services") or {}).get("summary", ""),
        "url": status.get("url", ""),
        "created": meta.get("creationTimestamp", ""),
    }


def _topics(body: Json, status: Json) -> list[Json]:
    """Declared topics with what is recorded of them, then what else is recorded."""
    recorded = {i["topicName"]: i for i in (status.get("topics") or {}).get("items") or ()}
    prefix = names.topic_prefix(Key(body["metadata"]["namespace"], body["metadata"]["name"]))
    found = []
    for entry in body["spec"].get("topics") or ():
        external = (entry.get("external") or {}).get("topicName")
        name = external or entry.get("topicName") or prefix + entry["name"]
        item = recorded.pop(name, {})
        about = {"entry": entry["name"], "topicName": name, "id": item.get("id", "")}
        found.append({**about, "partitions": entry.get("partitions"), "external": bool(external)})
    others = [
        {"entry": "", "topicName": name, "id": item.get("id", ""), "external": False}
        for name, item in recorded.items()
    ]
    return [*found, *others]


def _deployment(live: Json) -> Json:
    child = summarise(live, "Deployment")
    rollout = child.rollout
    problem = child.problem
    return {
        "kind": "Deployment",
        "name": (live["metadata"].get("labels") or {}).get(labels.WORKLOAD, child.ref.name),
        "wanted": rollout.wanted if rollout else 0,
        "updated": rollout.updated if rollout else 0,
        "available": rollout.available if rollout else 0,
        "image": live["spec"]["template"]["spec"]["containers"][0]["image"],
        "problem": problem.message if problem else "",
    }


def _job(live: Json) -> Json:
    child = summarise(live, "Job")
    return {
        "kind": "Job",
        "name": child.ref.name,
        "wanted": 1,
        "updated": 1,
        "available": int(child.succeeded),
        "image": live["spec"]["template"]["spec"]["containers"][0]["image"],
        "problem": child.problem.message if child.problem else "",
    }


def render_list(summaries: Sequence[Json], now: datetime, width: int) -> str:
    """One line for each object."""
    if not summaries:
        return NO_NAMES
    rows = [
        [
            _mark(s["ready"], s["reason"]), s["namespace"], s["name"], s["topicsReady"],
            s["servicesReady"], describe_age(s["created"], now), s["url"], s["reason"],
            s["message"],
        ]
        for s in summaries
    ]  # fmt: skip
    headers = ["", "NAMESPACE", "NAME", "TOPICS", "SERVICES", "AGE", "URL", "REASON", "MESSAGE"]
    return render_table(headers, rows, width)


def render_overview(overview: Json, now: datetime, width: int) -> str:
    """Blocks of one object, each a table."""
    blocks = [
        _headline(overview, now),
        render_table(
            ["", "CONDITION", "FOR", "REASON", "MESSAGE"],
            [_condition(c, now) for c in overview["conditions"]],
            width,
        ),
    ]
    for headers, rows in (
        (["TOPIC", "IN KAFKA", "PARTITIONS", "KAFKA ID"], _topic_rows(overview)),
        (["SECRET", "OBJECT", "VERSION"], _secret_rows(overview)),
        (["", "WORKLOAD", "READY", "IMAGE", "PROBLEM"], _workload_rows(overview)),
        (["POD PROBLEM", "MESSAGE"], [[p["reason"], p["message"]] for p in overview["problems"]]),
    ):
        if rows:
            blocks.append(render_table(headers, rows, width))
    return "\n\n".join(blocks)


def _headline(overview: Json, now: datetime) -> str:
    seen = overview["observedGeneration"]
    parts = [
        click.style(f"{overview['namespace']}/{overview['name']}", bold=True),
        f"generation {overview['generation']}",
        *([f"(the operator has seen {seen})"] if seen != overview["generation"] else []),
        *(["suspended"] if overview["suspended"] else []),
        *([overview["url"]] if overview["url"] else []),
        *([f"{describe_age(overview['created'], now)} old"] if overview["created"] else []),
    ]
    return "  ".join(parts)


def _condition(condition: Mapping[str, Any], now: datetime) -> list[str]:
    since = describe_age(condition.get("lastTransitionTime", ""), now)
    negative = condition["type"] in (ConditionType.STALLED, ConditionType.RECONCILING)
    mark = _mark(condition["status"], condition["reason"])
    if negative:
        mark = BAD if condition["type"] == ConditionType.STALLED else PENDING
    return [mark, condition["type"], since, condition["reason"], condition["message"]]


def _topic_rows(overview: Json) -> list[list[str]]:
    return [
        [
            t["entry"] or "(dead letters)" if not t["external"] else f"{t['entry']} (external)",
            t["topicName"],
            str(t.get("partitions") or ""),
            t["id"],
        ]
        for t in overview["topics"]
    ]


def _secret_rows(overview: Json) -> list[list[str]]:
    return [[s["name"], s.get("secretName", ""), s.get("version", "")] for s in overview["secrets"]]


def _workload_rows(overview: Json) -> list[list[str]]:
    rows = []
    for w in overview["workloads"]:
        ready = w["available"] >= w["wanted"] == w["updated"]
        mark = GOOD if ready else BAD if w["problem"] else PENDING
        count = f"{w['available']}/{w['wanted']}"
        name = w["name"] if w["kind"] == "Deployment" else f"{w['name']} (job)"
        rows.append([mark, name, count, w["image"], w["problem"]])
    return rows


def _mark(status: str, reason: str) -> str:
    if status == Status.TRUE:
        return GOOD
    return PENDING if status == Status.UNKNOWN or reason in PROGRESS else BAD
