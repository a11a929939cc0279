"""Dashboards and alerts: each query parses and asks for what is really told."""

import json
import re
from collections import Counter
from itertools import pairwise
from typing import Any

import promql_parser
import pytest
from prometheus_client import REGISTRY

from charts.queries import SCRAPED, Query, dashboards, every_query, rendered, rules
from email_service.sender import MAILS
from eventbus.metrics import CONSUMED
from eventbus.web.api import REQUESTS, SECONDS
from eventpipeline_operator.adapters.metrics import UNREADY
from servers.kubernetes import render_chart
from servers.local import REPOSITORY, find_artifact

Json = dict[str, Any]
REGISTERED = (MAILS, CONSUMED, REQUESTS, SECONDS, UNREADY)  # importing them is what is wanted
SUFFIXES = ("", "_total", "_bucket", "_sum", "_count")
# What is not ours: Traefik's is held against a running Traefik, the process's comes with Python.
FOREIGN = ("traefik_", "process_")


@pytest.fixture(scope="module", autouse=True)
def helm() -> None:
    found = find_artifact("helm")
    if isinstance(found, str):
        pytest.skip(found)


@pytest.fixture(scope="module")
def queries() -> list[Query]:
    return every_query()


def declared() -> dict[str, set[str]]:
    """Every series that operator and services declare, with its labels."""
    found: dict[str, set[str]] = {}
    for name, collector in REGISTRY._names_to_collectors.items():
        labels = set(getattr(collector, "_labelnames", ()))
        found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    found["eventpipeline_objects_not_ready"] = {"reason"}
    found |= {rule["record"]: {"namespace", "pipeline"} for rule in rules() if "record" in rule}
    return found


def test_every_query_parses(queries: list[Query]) -> None:
    assert len(queries) > 60
    broken = {}
    for query in queries:
        try:
            promql_parser.parse(query.expression)
        except ValueError as error:
            broken[query.where] = str(error)
    assert not broken


def test_every_series_is_told_by_operator_or_services(queries: list[Query]) -> None:
    assert REGISTERED
    known = declared()
    asked = {name for query in queries for name in query.series()}
    assert {name for name in asked if not name.startswith(FOREIGN)} <= known.keys()


def test_every_label_is_one_of_its_series(queries: list[Query]) -> None:
    known = declared()
    wrong = {
        (str(query), name, label)
        for query in queries
        for name, labels in query.series().items()
        if name in known and not name.startswith(FOREIGN)
        for label in labels - known[name] - SCRAPED
    }
    assert not wrong


def test_nothing_that_is_told_of_a_pipeline_is_left_unseen(queries: list[Query]) -> None:
    """A metric that no dashboard shows is one that nobody looks at."""
    shown = {re.sub(r"_(bucket|sum|count|total)$", "", s) for q in queries for s in q.series()}
    ours = {
        re.sub(r"_(bucket|sum|count|total|created)$", "", name)
        for name in REGISTRY._names_to_collectors
        if name.startswith(("eventbus_", "eventpipeline_", "http_request", "email_"))
    }
    assert ours <= shown


def test_the_objective_is_a_bound_of_the_histogram(queries: list[Query]) -> None:
    bounds = {str(bound) for bound in SECONDS._upper_bounds}
    asked = {value for q in queries for _, label, _, value in q.matchers() if label == "le"}
    assert asked == {"0.25"}
    assert asked <= bounds
    schema = json.loads((REPOSITORY / "charts/eventpipeline/values.schema.json").read_text())
    latency = schema["properties"]["slo"]["properties"]["latency"]["properties"]
    assert {*latency["seconds"]["enum"], "inf"} == bounds


def test_objectives_and_limits_come_from_the_values() -> None:
    chosen = (
        "--set", "slo.availability=99.5", "--set", "slo.latency.percent=95",
        "--set-string", "slo.latency.seconds=1.0", "--set", "alerts.lagRecords=7",
        "--set", "alerts.outboxSeconds=8", "--set", "stuckSeconds=90",
    )  # fmt: skip
    expressions = {each.get("alert") or each["record"]: each["expr"] for each in rules(*chosen)}
    assert "> 14.4 * 0.005" in expressions["EventPipelineErrorBudgetBurnsFast"]
    assert "> 6 * 0.05" in expressions["EventPipelineLatencyBudgetBurns"]
    assert 'le="1.0"' in expressions["pipeline:http_slow:ratio_rate1h"]
    assert expressions["EventPipelineConsumerLags"].endswith("> 7")
    assert expressions["EventPipelineOutboxOld"].endswith("> 8")
    assert expressions["EventPipelineOperatorSlow"].endswith("> 90 / 2")
    listed = dashboards(*chosen)["eventpipeline-traffic"]["templating"]["list"]
    constants = {v["name"]: v["query"] for v in listed if v["type"] == "constant"}
    assert constants == {
        "error_budget": "0.005", "latency_budget": "0.05", "latency_seconds": "1.0",
    }  # fmt: skip


def test_no_placeholder_is_left_in_a_rule() -> None:
    for rule in rules():
        texts = [rule["expr"], *rule.get("annotations", {}).values()]
        left = [word for text in texts for word in re.findall(r"\$\w+", text)]
        assert set(left) <= {"$labels", "$value"}, rule


def test_every_alert_names_its_severity_and_its_runbook() -> None:
    alerts = [
        rule
        for rule in rules("--set", "prometheusRule.runbookUrl=https://docs/ops")
        if "alert" in rule
    ]
    for alert in alerts:
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}
        anchor = alert["alert"].lower()
        assert alert["annotations"]["runbook_url"] == f"https://docs/ops#{anchor}"
        assert alert["annotations"]["summary"]
    assert max(Counter(alert["alert"] for alert in alerts).values()) == 1


@pytest.mark.parametrize("uid", ["eventpipeline-operator", "eventpipeline-traffic"])
def test_panels_have_a_place_and_a_number_of_their_own(uid: str) -> None:
    panels = dashboards()[uid]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: Counter[tuple[int, int]] = Counter()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                taken[x, y] += 1
    assert max(taken.values()) == 1
    assert all(first["gridPos"]["y"] <= then["gridPos"]["y"] for first, then in pairwise(panels))


def test_the_sidecar_finds_the_dashboards() -> None:
    chosen = ("--set", "dashboards.annotations.grafana_folder=Shops")
    found = [m for m in rendered(*chosen) if m["kind"] == "ConfigMap"]
    assert len(found) == 2
    for manifest in found:
        assert manifest["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert manifest["metadata"]["annotations"] == {"grafana_folder": "Shops"}


@pytest.mark.parametrize(
    ("switch", "kind"),
    [
        ("dashboards", "ConfigMap"),
        ("prometheusRule", "PrometheusRule"),
        ("podMonitor", "PodMonitor"),
    ],
)
def test_each_comes_with_its_own_switch_alone(switch: str, kind: str) -> None:
    before = {m["kind"] for m in render_chart()}
    after = {m["kind"] for m in render_chart("--set", f"{switch}.install=true")}
    assert after - before == {kind}


def test_pods_of_pipelines_are_scraped_under_their_names() -> None:
    (monitor,) = (m for m in rendered() if m["kind"] == "PodMonitor")
    spec = monitor["spec"]
    assert spec["namespaceSelector"] == {"any": True}
    assert {e["port"] for e in spec["podMetricsEndpoints"]} == {"http", "metrics"}
    for endpoint in spec["podMetricsEndpoints"]:
        assert {r["targetLabel"] for r in endpoint["relabelings"]} == {"pipeline", "workload"}
    confined = rendered("--set-json", 'watchNamespaces=["one"]')
    (monitor,) = (m for m in confined if m["kind"] == "PodMonitor")
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["one"]}


@pytest.mark.parametrize(
    "value",
    [
        "slo.availability=100", "slo.latency.seconds=0.3", "alerts.lagRecords=0",
        "dashboards.instal=true", "prometheusRule.runbookUrl=",
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused(value: str) -> None:
    with pytest.raises(AssertionError, match=value.split(".", maxsplit=1)[0]):
        render_chart("--set", value)
