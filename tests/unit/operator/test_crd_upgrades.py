"""The API only grows: what an older one accepted, this one accepts and reads alike.

A change that this gate refuses needs a new version of the API, or a reason in REVIEWED.
"""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from compatibility.schemas import find_breaks

REPOSITORY = Path(__file__).resolve().parents[3]
NAME = "eventpipelines.eventpipeline.dev.yaml"
FIRST = REPOSITORY / "tests" / "compatibility" / "v1alpha1" / "crd.yaml"
Json = dict[str, Any]

REVIEWED: Mapping[str, str] = {}
"""Breaks that are none after all, each with the reason why no object is hurt."""


def load(path: Path) -> Json:
    crd: Json = yaml.safe_load(path.read_text())
    return crd


def schema_of(crd: Json, version: str = "v1alpha1") -> Json:
    (found,) = (v for v in crd["spec"]["versions"] if v["name"] == version)
    schema: Json = found["schema"]["openAPIV3Schema"]
    return schema


@pytest.fixture
def first() -> Json:
    return load(FIRST)


@pytest.fixture
def current() -> Json:
    return load(REPOSITORY / "crds" / NAME)


def test_nothing_that_was_accepted_is_refused_or_cut(first: Json, current: Json) -> None:
    found = set(find_breaks(schema_of(first), schema_of(current)))
    assert sorted(found - set(REVIEWED)) == []
    assert sorted(set(REVIEWED) - found) == [], "no longer needed"


def test_every_version_is_still_served_under_the_same_names(first: Json, current: Json) -> None:
    served = {v["name"] for v in current["spec"]["versions"] if v["served"]}
    assert {v["name"] for v in first["spec"]["versions"]} <= served
    for key in ("group", "scope"):
        assert current["spec"][key] == first["spec"][key]
    for key in ("kind", "listKind", "plural", "singular"):
        assert current["spec"]["names"][key] == first["spec"]["names"][key]


def test_objects_are_stored_as_v1alpha1(current: Json) -> None:
    stored = [v["name"] for v in current["spec"]["versions"] if v["storage"]]
    assert stored == ["v1alpha1"]
    text = (REPOSITORY / "docs" / "operations.md").read_text()
    assert "stored as `v1alpha1`" in text


def topic(schema: Json) -> Json:
    found: Json = schema["properties"]["spec"]["properties"]["topics"]["items"]
    return found


def remove_a_field(schema: Json) -> None:
    del topic(schema)["properties"]["sharedWith"]


def demand_a_field(schema: Json) -> None:
    topic(schema)["required"].append("partitions")


def lower_a_limit(schema: Json) -> None:
    schema["properties"]["spec"]["properties"]["topics"]["maxItems"] = 999


def raise_a_minimum(schema: Json) -> None:
    topic(schema)["properties"]["replicationFactor"]["minimum"] = 2


def add_a_limit(schema: Json) -> None:
    topic(schema)["properties"]["config"]["additionalProperties"]["maxLength"] = 10


def narrow_an_enum(schema: Json) -> None:
    tracing = schema["properties"]["spec"]["properties"]["tracing"]
    tracing["properties"]["exporter"]["enum"].remove("otlp")


def bind_a_free_value(schema: Json) -> None:
    schema["properties"]["spec"]["properties"]["ingress"]["properties"]["host"]["enum"] = ["one"]


def change_a_pattern(schema: Json) -> None:
    topic(schema)["properties"]["name"]["pattern"] = "^[a-z]$"


def change_a_default(schema: Json) -> None:
    schema["properties"]["spec"]["properties"]["suspend"]["default"] = True


def change_a_type(schema: Json) -> None:
    topic(schema)["properties"]["partitions"]["type"] = "string"


def add_a_rule(schema: Json) -> None:
    topic(schema)["x-kubernetes-validations"].append({"rule": "self.partitions < 100"})


def merge_otherwise(schema: Json) -> None:
    schema["properties"]["spec"]["properties"]["topics"]["x-kubernetes-list-type"] = "atomic"


def forget_what_is_free(schema: Json) -> None:
    service = schema["properties"]["spec"]["properties"]["services"]["items"]
    del service["properties"]["podTemplate"]["x-kubernetes-preserve-unknown-fields"]


@pytest.mark.parametrize(
    "change",
    [
        remove_a_field, demand_a_field, lower_a_limit, raise_a_minimum, add_a_limit,
        narrow_an_enum, bind_a_free_value, change_a_pattern, change_a_default, change_a_type,
        add_a_rule, merge_otherwise, forget_what_is_free,
    ],
)  # fmt: skip
def test_a_change_that_hurts_is_found(first: Json, change: Callable[[Json], None]) -> None:
    changed = copy.deepcopy(schema_of(first))
    change(changed)
    assert len(list(find_breaks(schema_of(first), changed))) == 1


def test_what_only_adds_is_no_break(first: Json) -> None:
    grown = copy.deepcopy(schema_of(first))
    fields = topic(grown)["properties"]
    fields["comment"] = {"type": "string", "maxLength": 10}
    fields["weight"] = {"type": "integer", "default": 1}
    topic(grown)["required"].append("weight")
    fields["partitions"]["maximum"] = 20000
    grown["properties"]["spec"]["properties"]["deletionPolicy"]["enum"].append("Delete")
    topic(grown)["x-kubernetes-validations"].pop()
    assert list(find_breaks(schema_of(first), grown)) == []
