"""The platform chart as helm renders it: values in, Kubernetes objects out."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from servers.local import REPOSITORY, find_artifact

CHART = REPOSITORY / "charts" / "platform"
KUBERNETES = "1.34.4"
Manifest = dict[str, Any]


class ChartError(Exception):
    """What helm said against the values."""


class PlatformChart:
    """Renders charts/platform into namespace `platform`."""

    def __init__(self, helm: Path) -> None:
        self._helm = helm

    def lint(self) -> str:
        return self._run("lint", "--strict", str(CHART), "--kube-version", KUBERNETES)

    def render(self, **values: object) -> list[Manifest]:
        """The objects for the given values (`kafka__enabled=False` sets kafka.enabled)."""
        overrides: Manifest = {}
        for path, value in values.items():
            *parents, last = path.split("__")
            place = overrides
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        output = self._run(
            *("template", "platform", str(CHART), "--namespace", "platform"),
            *("--kube-version", KUBERNETES, "--values", "-"),
            stdin=yaml.safe_dump(overrides),
        )
        return [document for document in yaml.safe_load_all(output) if document]

    def find(self, kind: str, name: str, **values: object) -> Manifest:
        """One of the rendered objects; a name may end in `*`."""
        found = [
            manifest
            for manifest in self.render(**values)
            if manifest["kind"] == kind and Path(manifest["metadata"]["name"]).match(name)
        ]
        assert len(found) == 1, f"{kind} {name}: {len(found)} rendered"
        return found[0]

    def _run(self, *arguments: str, stdin: str = "") -> str:
        run = subprocess.run(
            [self._helm, *arguments], input=stdin, capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise ChartError(run.stdout + run.stderr)
        return run.stdout


def find_chart() -> PlatformChart:
    """The chart where helm is built, a skip that says how to get it where not."""
    directory = find_artifact("helm")
    if isinstance(directory, str):
        pytest.skip(directory)
    return PlatformChart(directory / "helm")


def load_script(component: str, name: str) -> ModuleType:
    """A program that the chart brings along, as a module."""
    path = CHART / "files" / component / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def list_names(manifests: list[Manifest]) -> set[str]:
    """Kind and name of each, in one string."""
    return {f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in manifests}


def list_pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """The pod spec of everything that makes pods."""
    return {
        manifest["metadata"]["name"]: manifest["spec"]["template"]["spec"]
        for manifest in manifests
        if manifest["kind"] in {"Deployment", "StatefulSet", "Job"}
    }
