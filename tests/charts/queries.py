"""PromQL taken apart: which series a query asks for, and by which of their labels."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import promql_parser

from servers.kubernetes import render_chart

Json = dict[str, Any]
INTERVAL = {"$__rate_interval": "2m", "$__range": "1h"}
TYPES = ("_bucket", "_sum", "_count", "_total")
INSTALLED = (
    "--set", "dashboards.install=true",
    "--set", "prometheusRule.install=true",
    "--set", "podMonitor.install=true",
    "--set", "serviceMonitor.install=true",
)  # fmt: skip
# What scraping adds to every series of a pipeline's pods, and to those of the operator's.
SCRAPED = {"namespace", "pod", "container", "job", "instance", "pipeline", "workload"}


@dataclass(frozen=True)
class Query:
    """One expression, and where it stands."""

    where: str
    expression: str

    def __str__(self) -> str:
        return self.where

    def series(self) -> dict[str, set[str]]:
        """Name of each series that is asked for → the labels by which it is chosen or summed."""
        parsed = promql_parser.parse(self.expression)
        found: dict[str, set[str]] = {}
        promql_parser.walk(parsed, lambda node: _note(node, found))
        return found

    def matchers(self) -> Iterator[tuple[str, str, promql_parser.MatchOp, str]]:
        """Series, label, operator and value of every matcher."""
        found: list[tuple[str, str, promql_parser.MatchOp, str]] = []

        def note(node: Any) -> None:
            if isinstance(node, promql_parser.VectorSelector):
                name = str(node.name)
                found.extend((name, m.name, m.op, m.value) for m in node.matchers.matchers)

        promql_parser.walk(promql_parser.parse(self.expression), note)
        return iter(found)


def _note(node: Any, found: dict[str, set[str]]) -> None:
    """An aggregation's labels belong to every series below it."""
    if isinstance(node, promql_parser.VectorSelector):
        labels = {matcher.name for matcher in node.matchers.matchers}
        found.setdefault(str(node.name), set()).update(labels)
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier:
        below: dict[str, set[str]] = {}
        promql_parser.walk(node.expr, lambda inner: _note(inner, below))
        for name in below:
            found.setdefault(name, set()).update(node.modifier.labels)


@cache
def rendered(*arguments: str) -> list[Json]:
    """The chart with everything for monitoring switched on."""
    return render_chart(*INSTALLED, *arguments)


def dashboards(*arguments: str) -> dict[str, Json]:
    """Every dashboard as Grafana gets it, by its uid."""
    manifests = rendered(*arguments)
    loaded = [
        json.loads(text)
        for manifest in manifests
        if manifest["kind"] == "ConfigMap"
        for text in manifest["data"].values()
    ]
    return {each["uid"]: each for each in loaded}


def rules(*arguments: str) -> list[Json]:
    """Every rule as Prometheus gets it."""
    (rule,) = (m for m in rendered(*arguments) if m["kind"] == "PrometheusRule")
    return [each for group in rule["spec"]["groups"] for each in group["rules"]]


def every_query() -> list[Query]:
    """All of them, with Grafana's variables filled in as Grafana would."""
    found = [
        Query(f"{dashboard['title']}: {panel['title']}", fill(target["expr"], dashboard))
        for dashboard in dashboards().values()
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]
    found += [
        Query(
            f"{dashboard['title']}: ${variable['name']}", inner(fill(variable["query"], dashboard))
        )
        for dashboard in dashboards().values()
        for variable in dashboard["templating"]["list"]
        if variable["type"] == "query"
    ]
    return found + [Query(each.get("alert") or each["record"], each["expr"]) for each in rules()]


def fill(expression: str, dashboard: Json) -> str:
    """With `All` chosen, and constants as they are."""
    values = {**INTERVAL, **{f"${k}": v for k, v in variables(dashboard).items()}}
    for name in sorted(values, key=len, reverse=True):
        expression = expression.replace(name, values[name])
    return expression


def variables(dashboard: Json) -> Mapping[str, str]:
    """Each variable's value: a constant's own, and `All` of the others."""
    listed = dashboard["templating"]["list"]
    return {v["name"]: v.get("allValue") or v["query"] for v in listed if v["name"] != "datasource"}


def inner(query: str) -> str:
    """The query within Grafana's label_values(query, label), asked for that label."""
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    assert match, query
    return f"count by ({match[2]}) ({match[1]})"
