"""Objects from the first release on an API server whose CRD is replaced by the newer one.

Under a group of their own, so that no operator looks at them.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.validation import validate
from servers.kubernetes import KubernetesServer
from servers.local import REPOSITORY
from servers.waiting import wait_for

Json = dict[str, Any]
FIRST = REPOSITORY / "tests" / "compatibility" / "v1alpha1"
CURRENT = REPOSITORY / "crds" / "eventpipelines.eventpipeline.dev.yaml"
GROUP, ASIDE = "eventpipeline.dev", "upgrade.eventpipeline.dev"
OBJECTS = sorted(path for path in FIRST.glob("*.yaml") if path.name != "crd.yaml")


def run(kubernetes: KubernetesServer, *arguments: str, stdin: str = "") -> str:
    done = kubernetes.kubectl(*arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(kubernetes: KubernetesServer, source: Path) -> None:
    run(kubernetes, "apply", "--server-side", "-f", "-", stdin=aside(source))
    run(kubernetes, "wait", "--for=condition=Established", f"crd/eventpipelines.{ASIDE}")


def aside(source: Path) -> str:
    return source.read_text().replace(GROUP, ASIDE)


@pytest.fixture(scope="module")
def stored(kubernetes: KubernetesServer) -> list[str]:
    """The objects, stored under the first CRD; then the current one is installed over it."""
    install(kubernetes, FIRST / "crd.yaml")
    run(kubernetes, "create", "namespace", "upgraded")
    for path in OBJECTS:

        def taken(path: Path = path) -> bool:
            apply = ("-n", "upgraded", "apply", "-f", "-")
            return "created" in run(kubernetes, *apply, stdin=aside(path))

        wait_for("the new kind to be known", taken)
    before = run(kubernetes, "-n", "upgraded", "get", f"eventpipelines.{ASIDE}", "-o", "json")
    install(kubernetes, CURRENT)
    return [json.dumps(item) for item in json.loads(before)["items"]]


def live(kubernetes: KubernetesServer, name: str) -> Json:
    kind = f"eventpipelines.{ASIDE}"
    found: Json = json.loads(run(kubernetes, "-n", "upgraded", "get", kind, name, "-o", "json"))
    return found


def test_a_stored_object_keeps_every_field(kubernetes: KubernetesServer, stored: list[str]) -> None:
    for before in map(json.loads, stored):
        after = live(kubernetes, before["metadata"]["name"])
        lost = find_lost(before["spec"], after["spec"])
        assert lost == []


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.stem)
def test_its_manifest_still_applies_and_means_the_same(
    kubernetes: KubernetesServer, path: Path
) -> None:
    apply = ("-n", "upgraded", "apply", "-f", "-")
    generation = live(kubernetes, path.stem)["metadata"]["generation"]
    run(kubernetes, *apply, stdin=aside(path))
    assert live(kubernetes, path.stem)["metadata"]["generation"] == generation
    manifest = yaml.safe_load(aside(path))
    manifest["spec"].setdefault("config", {})["CHANGED"] = "yes"
    assert "configured" in run(kubernetes, *apply, stdin=yaml.safe_dump(manifest))
    body = live(kubernetes, path.stem)
    body["metadata"]["namespace"] = "ns"
    assert validate(parse(body)) == []


def find_lost(before: object, after: object, path: str = "spec") -> list[str]:
    """Paths of what is no longer there as it was; what has been added is no loss."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            lost
            for key, value in before.items()
            for lost in find_lost(value, after.get(key), f"{path}.{key}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            lost
            for number, (one, other) in enumerate(zip(before, after, strict=True))
            for lost in find_lost(one, other, f"{path}[{number}]")
        ]
    return [] if before == after else [path]
