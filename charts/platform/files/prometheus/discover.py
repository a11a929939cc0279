"""Tells the demo's Prometheus whom to ask, and makes a page of every dashboard for Grafana.

Debian builds Prometheus without the discovery of Kubernetes, and has no Grafana. This process lists
the pods every few seconds instead, for `file_sd_configs`, and finds the ConfigMaps with dashboards
as Grafana's sidecar does; charts/eventpipeline has both, and the monitors for a Prometheus in
production. The standard library is enough for an HTTP call, and keeps the process small.
"""

import json
import logging
import os
import signal
import ssl
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LOG = logging.getLogger("discover")
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TARGETS = Path("/targets")
CONSOLES = Path("/consoles")
PAGE = Path("/config/dashboard.html")
INTERVAL_SECONDS = 5.0
REQUEST_SECONDS = 10.0

# Job → label selector of its pods, and the names of the ports that tell metrics.
JOBS = {
    "pipelines": ("app.kubernetes.io/managed-by=eventpipeline", {"http", "metrics"}),
    "operator": ("app.kubernetes.io/name=eventpipeline-operator", {"metrics"}),
    "traefik": ("app.kubernetes.io/name=traefik", {"admin"}),
}
LABELS = {
    "pipeline": "eventpipeline.dev/pipeline",
    "workload": "eventpipeline.dev/workload",
}
DASHBOARDS = "grafana_dashboard=1"


def to_targets(pods: Iterable[Mapping[str, Any]], ports: set[str]) -> list[dict[str, Any]]:
    """One entry per running pod and port, in the form of `file_sd_configs`."""
    found = []
    for pod in pods:
        metadata, address = pod["metadata"], pod["status"].get("podIP")
        if pod["status"].get("phase") != "Running" or not address:
            continue
        labels = {"namespace": metadata["namespace"], "pod": metadata["name"]}
        given = metadata.get("labels", {})
        labels |= {name: given[label] for name, label in LABELS.items() if label in given}
        found += [
            {"targets": [f"{address}:{port['containerPort']}"], "labels": labels}
            for container in pod["spec"]["containers"]
            for port in container.get("ports", [])
            if port.get("name") in ports
        ]
    return sorted(found, key=lambda each: (each["labels"]["pod"], each["targets"]))


def to_page(page: str, dashboard: str) -> str:
    """The page that draws a dashboard; for Prometheus it is a template, so braces are spelt out."""
    return page.replace("@DASHBOARD@", dashboard.replace("{{", '{{"{{"}}'))


def list_objects(server: str, kind: str, selector: str) -> list[dict[str, Any]]:
    """Ask the API server for what bears a label, in all namespaces."""
    query = urllib.parse.urlencode({"labelSelector": selector})
    request = urllib.request.Request(  # noqa: S310  the API server's address
        f"{server}/api/v1/{kind}?{query}",
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"},
    )
    context = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    with urllib.request.urlopen(  # noqa: S310
        request, timeout=REQUEST_SECONDS, context=context
    ) as response:
        objects: list[dict[str, Any]] = json.load(response)["items"]
        return objects


def write_if_changed(path: Path, text: str) -> None:
    """Replace a file in one step; Prometheus reads it anew whenever it changes."""
    if path.exists() and path.read_text() == text:
        return
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
    LOG.info("wrote %s", path)


def look(server: str) -> None:
    """Bring targets and pages to what the cluster has now."""
    for job, (selector, ports) in JOBS.items():
        targets = to_targets(list_objects(server, "pods", selector), ports)
        write_if_changed(TARGETS / f"{job}.json", json.dumps(targets, indent=1))
    page = PAGE.read_text()
    for config_map in list_objects(server, "configmaps", DASHBOARDS):
        for name, dashboard in config_map.get("data", {}).items():
            write_if_changed(CONSOLES / f"{Path(name).stem}.html", to_page(page, dashboard))


def main() -> None:
    """Look every few seconds until SIGTERM; what cannot be asked stays as it was."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    server = f"https://{host}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    while not stop.is_set():
        try:
            look(server)
        except (OSError, ValueError) as error:
            LOG.info("no answer: %s", error)
        stop.wait(INTERVAL_SECONDS)


if __name__ == "__main__":
    main()
