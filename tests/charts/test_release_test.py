"""`helm test` of the operator's chart: what it asks, what it may, what its notes say."""

import importlib.util
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from servers.kubernetes import render_chart
from servers.local import REPOSITORY, find_artifact

Json = dict[str, Any]
CHART = REPOSITORY / "charts" / "eventpipeline"
NOW = datetime(2026, 1, 1, 12, 0, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release", CHART / "files" / "test_release.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def deployment(ready: int, *, observed: int = 3) -> Json:
    status = {"readyReplicas": ready, "observedGeneration": observed}
    return {"metadata": {"generation": 3}, "spec": {"replicas": 2}, "status": status}


def lease(holder: str | None, renewed: str) -> Json:
    spec = {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15}
    return {"spec": spec}


def test_an_api_without_its_status_is_not_served_yet(script: ModuleType) -> None:
    whole = {"resources": [{"name": "eventpipelines"}, {"name": "eventpipelines/status"}]}
    assert "is served" in script.check_api(lambda _: whole)
    with pytest.raises(script.NotYetError):
        script.check_api(lambda _: {"resources": whole["resources"][:1]})


def test_all_replicas_of_the_newest_version_must_be_ready(script: ModuleType) -> None:
    assert "2 of 2" in script.check_deployment(lambda _: deployment(2), "n", "d")
    for unfinished in (deployment(1), deployment(2, observed=2)):
        with pytest.raises(script.NotYetError):
            script.check_deployment(lambda _, shown=unfinished: shown, "n", "d")


def test_a_leader_must_have_renewed_its_lease(script: ModuleType) -> None:
    fresh = lease("pod-a", "2026-01-01T12:00:00.000000Z")
    assert script.check_lease(lambda _: fresh, "n", "l", NOW) == "pod-a leads"
    for gone in (lease(None, "2026-01-01T12:00:00Z"), lease("pod-a", "2026-01-01T11:59:50Z")):
        with pytest.raises(script.NotYetError):
            script.check_lease(lambda _, shown=gone: shown, "n", "l", NOW)


@pytest.fixture(scope="module")
def hooks() -> dict[str, Json]:
    found = find_artifact("helm")
    if isinstance(found, str):
        pytest.skip(found)
    manifests = render_chart(with_tests=True)
    annotated = [m for m in manifests if "helm.sh/hook" in m["metadata"].get("annotations", {})]
    return {m["kind"]: m for m in annotated}


def test_its_pod_comes_after_what_it_needs_and_stays_to_be_read(hooks: dict[str, Json]) -> None:
    assert set(hooks) == {"ServiceAccount", "Role", "RoleBinding", "ConfigMap", "Pod"}
    annotations = {kind: m["metadata"]["annotations"] for kind, m in hooks.items()}
    assert {each["helm.sh/hook"] for each in annotations.values()} == {"test"}
    weights = {kind: int(each["helm.sh/hook-weight"]) for kind, each in annotations.items()}
    assert weights.pop("Pod") > max(weights.values())
    policies = {kind: each["helm.sh/hook-delete-policy"] for kind, each in annotations.items()}
    assert policies.pop("Pod") == "before-hook-creation"
    assert set(policies.values()) == {"before-hook-creation,hook-succeeded"}


def test_it_may_read_two_objects_by_name_and_nothing_else(hooks: dict[str, Json]) -> None:
    granted = [
        (resource, rule.get("resourceNames"), rule["verbs"])
        for rule in hooks["Role"]["rules"]
        for resource in rule["resources"]
    ]
    assert granted == [
        ("deployments", ["eventpipeline-operator"], ["get"]),
        ("leases", ["eventpipeline-operator"], ["get"]),
    ]


def test_its_pod_meets_the_restricted_standard_and_carries_the_script(
    hooks: dict[str, Json],
) -> None:
    spec = hooks["Pod"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    carried = hooks["ConfigMap"]["data"]["test_release.py"]
    assert carried.strip() == (CHART / "files" / "test_release.py").read_text().strip()


def test_it_is_no_replica_of_the_operator(hooks: dict[str, Json]) -> None:
    (operator,) = (m for m in render_chart() if m["kind"] == "Deployment")
    selector = operator["spec"]["selector"]["matchLabels"].items()
    assert not selector <= hooks["Pod"]["metadata"]["labels"].items()


@pytest.fixture(scope="module")
def noting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart with its notes in a ConfigMap: helm tells them to a cluster alone."""
    chart = tmp_path_factory.mktemp("noting") / "eventpipeline"
    shutil.copytree(CHART, chart)
    shutil.copy(chart / "templates" / "NOTES.txt", chart)
    notes = {"kind": "Notes", "notes": '{{ tpl (.Files.Get "NOTES.txt") . | quote }}'}
    text = "\n".join(f"{key}: {value}" for key, value in notes.items())
    (chart / "templates" / "notes.yaml").write_text(text)
    return chart


@pytest.mark.parametrize(
    ("values", "told", "untold"),
    [
        (
            (),
            ["helm test", "namespace: default", "--set serviceMonitor.install", "delete crd"],
            "NOTHING",
        ),
        (("serviceMonitor.install=true",), ["helm test"], "It is not scraped"),
        (("watchNamespaces={one,two}",), ["in one, two", "namespace: one"], "namespace: default"),
        (("crds.install=false",), ["apply --server-side"], "delete crd"),
        (("replicas=0",), ["NOTHING WORKS YET"], "never"),
    ],
)
def test_the_notes_tell_the_next_step(
    noting: Path, values: tuple[str, ...], told: list[str], untold: str
) -> None:
    chosen = [part for value in values for part in ("--set", value)]
    (notes,) = (m["notes"] for m in render_chart(*chosen, chart=noting) if m["kind"] == "Notes")
    assert all(words in notes for words in told), notes
    assert untold not in notes
