"""The demo's Prometheus: whom it asks, and the page that draws the dashboards."""

import json
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from charts.platform_chart import CHART, Manifest, PlatformChart, load_script

BRACES = '{{"{{"}}'
PAGE = CHART / "files" / "prometheus" / "dashboard.html"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("prometheus", "discover")


def make_pod(name: str, **status: str) -> Manifest:
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "labels": {
                "eventpipeline.dev/pipeline": "shop",
                "eventpipeline.dev/workload": "order-relay",
            },
        },
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "ports": [
                        {"name": "metrics", "containerPort": 9100},
                        {"name": "debug", "containerPort": 9101},
                    ],
                },
                {"name": "beside"},
            ]
        },
        "status": {"phase": "Running", "podIP": "192.0.2.7"} | status,
    }


def test_a_pod_is_asked_at_its_metrics_port_and_known_by_its_pipeline(script: ModuleType) -> None:
    assert script.to_targets([make_pod("relay-1")], {"http", "metrics"}) == [
        {
            "targets": ["192.0.2.7:9100"],
            "labels": {
                "namespace": "shop",
                "pod": "relay-1",
                "pipeline": "shop",
                "workload": "order-relay",
            },
        }
    ]


@pytest.mark.parametrize("status", [{"phase": "Succeeded"}, {"podIP": ""}])
def test_a_pod_that_does_not_run_is_not_asked(script: ModuleType, status: dict[str, str]) -> None:
    assert script.to_targets([make_pod("gone", **status)], {"metrics"}) == []


def test_a_file_is_written_only_when_it_changes(script: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "pipelines.json"
    script.write_if_changed(path, "[]")
    before = path.stat().st_ino
    script.write_if_changed(path, "[]")
    assert path.stat().st_ino == before
    script.write_if_changed(path, "[1]")
    assert path.read_text() == "[1]"


def test_the_server_reads_a_file_for_every_job_that_is_written(
    platform_chart: PlatformChart, script: ModuleType
) -> None:
    data = platform_chart.find("ConfigMap", "prometheus")["data"]
    config = yaml.safe_load(data["prometheus.yml"])
    files = {
        job["job_name"]: job["file_sd_configs"][0]["files"] for job in config["scrape_configs"]
    }
    assert files == {job: [f"/targets/{job}.json"] for job in script.JOBS}


def test_a_dashboard_is_a_page_whose_legends_are_no_templates(script: ModuleType) -> None:
    dashboard = {"title": "Traffic", "panels": [{"targets": [{"legendFormat": "{{route}}"}]}]}
    page = script.to_page(PAGE.read_text(), json.dumps(dashboard))
    drawn = page.split('id="dashboard">')[1].split("</script>")[0]
    # The page is a template of Prometheus; the only thing in it to be filled in are two braces.
    assert "{{" not in page.replace(BRACES, "")
    assert json.loads(drawn.replace(BRACES, "{{")) == dashboard
