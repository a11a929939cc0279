"""The walker over the published schema, on the CRD's own."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from eventpipeline_operator.cli.schema import complain, with_defaults
from unit.operator.bodies import build_spec

REPOSITORY = Path(__file__).resolve().parents[4]
Json = dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> Json:
    text = (REPOSITORY / "crds" / "eventpipelines.eventpipeline.dev.yaml").read_text()
    crd = yaml.safe_load(text)
    found: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def test_a_good_spec_has_no_complaint(schema: Json) -> None:
    assert not list(complain(schema, build_spec()))


def test_defaults_are_filled_in_at_every_depth(schema: Json) -> None:
    spec = with_defaults(schema, build_spec())
    assert spec["deletionPolicy"] == "Retain"
    assert spec["vault"]["auth"]["kubernetes"]["mount"] == "kubernetes"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"topics": {}}, "spec.topics: must be of type array"),
        ({"suspend": "yes"}, "spec.suspend: must be of type boolean"),
        ({"deletionPolicy": "Maybe"}, "spec.deletionPolicy: must be one of Retain, Delete"),
        ({"kafka": {}}, "spec.kafka: bootstrapServers is needed"),
        ({"topics": [{"name": "Orders"}]}, "spec.topics[Orders].name: 'Orders' does not match"),
        ({"topics": [{"name": "a", "partitions": 0}]}, "spec.topics[a].partitions: must be at"),
        ({"colour": "red"}, "spec.colour: there is no such field; there are config, "),
    ],
)
def test_a_wrong_field_is_named(schema: Json, change: Json, complaint: str) -> None:
    (found,) = complain(schema, {**build_spec(), **change})
    assert found.startswith(complaint)
