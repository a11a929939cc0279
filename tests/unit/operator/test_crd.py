"""The CRD: described, bounded, the same for services and workers, and copied to the chart."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCE = REPOSITORY / "crds" / "eventpipelines.eventpipeline.dev.yaml"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> Json:
    crd = yaml.safe_load(SOURCE.read_text())
    found: Json = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def walk(node: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    if "items" in node:
        yield from walk(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from walk(node["additionalProperties"], f"{path}{{}}")


def test_every_field_is_described(schema: Json) -> None:
    bare = [
        path
        for path, node in walk(schema)
        if not node.get("description") and not path.endswith(("[]", "{}")) and path != ".metadata"
    ]
    assert bare == []


def test_every_list_is_bounded_and_says_how_it_merges(schema: Json) -> None:
    lists = {path: node for path, node in walk(schema) if node.get("type") == "array"}
    assert all("maxItems" in node for node in lists.values())
    assert all("x-kubernetes-list-type" in node for node in lists.values())


def test_every_string_is_bounded(schema: Json) -> None:
    unbounded = [
        path
        for path, node in walk(schema)
        if node.get("type") == "string"
        and not {"maxLength", "enum", "format"} & set(node)
        and path not in {".apiVersion", ".kind"}
    ]
    assert unbounded == []


def test_services_and_workers_share_their_containers_fields(schema: Json) -> None:
    service = schema["properties"]["spec"]["properties"]["services"]["items"]["properties"]
    worker = service["workers"]["items"]["properties"]
    shared = set(service) & set(worker) - {"name", "image", "replicas", "produces", "consumes"}
    assert shared >= {"args", "command", "config", "probes", "resources", "podTemplate", "volumes"}
    for field in shared - {"consumerGroup"}:
        assert service[field] == worker[field], field


def test_the_charts_copy_is_fresh() -> None:
    done = subprocess.run(
        [REPOSITORY / "hack" / "gen-crds", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
