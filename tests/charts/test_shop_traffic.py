"""The shop of the examples on the platform chart, were their network to enforce policies."""

from typing import Any

import pytest
import yaml

from charts.platform_chart import PlatformChart
from eventpipeline_operator.adapters.kube.manifests import render
from eventpipeline_operator.adapters.kube.pods import pod_labels
from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.desired.records import SecretReference
from eventpipeline_operator.desired.traffic import build_traffic
from eventpipeline_operator.desired.workloads import build_migration, build_workloads
from fakes.network import Network, Pod
from servers.local import REPOSITORY

APIS = {"order", "stock", "email"}
RELAYS = {"order-relay", "stock-relay"}
CONSUMERS = {"order-consumer", "stock-consumer", "email-consumer"}
MIGRATIONS = {"order-migrate", "stock-migrate", "email-migrate"}
ALL = {*APIS, *RELAYS, *CONSUMERS, *MIGRATIONS, "email-sender"}


class Demo:
    """Pods of the shop and of the platform, with the ports on which they listen."""

    def __init__(self, chart: PlatformChart) -> None:
        pipeline = parse(read_shop())
        delivered = {s.name: SecretReference(s.name, "r", "1") for s in pipeline.secrets}
        records = [r for s in pipeline.services for r in build_workloads(pipeline, s, delivered)]
        jobs = [build_migration(pipeline, service, delivered) for service in pipeline.services]
        records += [job.workload for job in jobs if job]
        self.shop = {r.name: Pod("shop", pod_labels(pipeline.key, r)) for r in records}
        self.platform: dict[str, tuple[Pod, set[int]]] = {}
        for manifest in chart.render():
            if manifest["kind"] in ("Deployment", "StatefulSet"):
                self._take_in(manifest["metadata"]["name"], manifest["spec"]["template"])
        traffic = build_traffic(pipeline).values()
        self._network = Network([m for record in traffic for m in render(pipeline, record)])

    def _take_in(self, name: str, template: dict[str, Any]) -> None:
        (container, *_) = template["spec"]["containers"]
        ports = {port["containerPort"] for port in container.get("ports", ())}
        self.platform[name] = Pod("platform", template["metadata"]["labels"]), ports

    def who_gets_to(self, server: str) -> set[str]:
        pod, ports = self.platform[server]
        return {
            name
            for name, source in self.shop.items()
            if any(self._network.allows(source, pod, port) for port in ports)
        }

    def whom_it_gets_to(self, server: str) -> set[str]:
        pod, _ = self.platform[server]
        return {
            name
            for name, target in self.shop.items()
            if any(self._network.allows(pod, target, port) for port in (8080, 9090))
        }


def read_shop() -> dict[str, Any]:
    documents = yaml.safe_load_all((REPOSITORY / "examples" / "shop.yaml").read_text())
    body: dict[str, Any] = next(d for d in documents if d["kind"] == "EventPipeline")
    body["metadata"].update(uid="uid", generation=1)
    return body


@pytest.fixture(scope="module")
def demo(platform_chart: PlatformChart) -> Demo:
    return Demo(platform_chart)


@pytest.mark.parametrize(
    ("server", "clients"),
    [
        ("kafka", RELAYS | CONSUMERS),
        ("postgres", ALL),
        ("zipkin", ALL),
        ("maildev", {"email-sender"}),
        ("vault", set()),
        ("traefik", set()),
    ],
)
def test_the_shop_gets_to_what_it_needs_alone(demo: Demo, server: str, clients: set[str]) -> None:
    assert demo.who_gets_to(server) == clients


def test_the_ingress_controller_gets_to_the_apis(demo: Demo) -> None:
    assert demo.whom_it_gets_to("traefik") == APIS


def test_prometheus_gets_to_all_that_tells_metrics(demo: Demo) -> None:
    assert demo.whom_it_gets_to("prometheus") == ALL - MIGRATIONS


def test_nobody_else_gets_to_the_shop(demo: Demo) -> None:
    for server in demo.platform.keys() - {"traefik", "prometheus"}:
        assert demo.whom_it_gets_to(server) == set()
