"""The graph of a pipeline → who may connect to whom, and that nobody else may."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from eventpipeline_operator.adapters.kube.manifests import render
from eventpipeline_operator.adapters.kube.pods import pod_labels
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.desired.records import SecretReference, TrafficRecord
from eventpipeline_operator.desired.traffic import build_traffic
from eventpipeline_operator.desired.workloads import build_migration, build_workloads
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.queue import Wake
from fakes.network import Network, Pod
from unit.operator.bodies import build_body, build_pipeline, build_spec
from unit.operator.fakes import World

Json = dict[str, Any]
REPOSITORY = Path(__file__).resolve().parents[3]
OLD = sorted((REPOSITORY / "tests" / "compatibility" / "v1alpha1").glob("[!c]*.yaml"))
DELIVERED = {"db": SecretReference("db", "r1", "1", env=("DATABASE_URL",))}
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})
CONTROLLER = Pod("edge", {"app": "proxy"})
SCRAPER = Pod("monitoring", {"app": "prometheus"})
KAFKA, ZIPKIN, POSTGRES, SMTP = Pod("kafka"), Pod("tracing"), Pod("databases"), Pod("mail")
OUTSIDE, METADATA = Pod(address="203.0.113.9"), Pod(address="169.254.169.254")


def build_guarded() -> Json:
    """The usual spec with a policy, and servers in namespaces of their own."""
    spec = build_spec()
    spec["kafka"]["bootstrapServers"] = "kafka-0.brokers.kafka.svc:9092,kafka.kafka.svc:9093"
    spec["tracing"]["endpoint"] = "http://zipkin.tracing.svc.cluster.local:9411/api/v2/spans"
    spec["networkPolicy"] = {
        "enabled": True,
        "ingressFrom": [{"namespace": "edge", "podLabels": {"app": "proxy"}}],
        "metricsFrom": [{"namespace": "monitoring"}],
        "egress": ["postgres.databases.svc:5432"],
    }
    order, stock = spec["services"]
    order["workers"][0]["egress"] = ["smtp.mail.svc:25"]
    stock["path"], stock["workers"] = None, [{"name": "idle"}]
    return spec


def pods_of(pipeline: EventPipeline) -> dict[str, Pod]:
    records = [
        record
        for service in pipeline.services
        for record in build_workloads(pipeline, service, DELIVERED)
    ]
    jobs = [build_migration(pipeline, service, DELIVERED) for service in pipeline.services]
    records += [job.workload for job in jobs if job]
    return {r.name: Pod(pipeline.key.namespace, pod_labels(pipeline.key, r)) for r in records}


class Case:
    """The pods of a pipeline on a network with its policies."""

    def __init__(self, spec: Json) -> None:
        pipeline = build_pipeline(spec)
        self.records = build_traffic(pipeline)
        self.pods = pods_of(pipeline)
        self._network = Network([m for r in self.records.values() for m in render(pipeline, r)])

    def leads(self, workload: str, target: Pod, port: int, protocol: str = "TCP") -> bool:
        return self._network.allows(self.pods[workload], target, port, protocol)

    def reaches(self, source: Pod, workload: str, port: int) -> bool:
        return self._network.allows(source, self.pods[workload], port)

    def who_reaches(self, workload: str, port: int) -> set[str]:
        return {name for name, pod in self.pods.items() if self.reaches(pod, workload, port)}

    def who_leads(self, target: Pod, port: int) -> set[str]:
        return {name for name in self.pods if self.leads(name, target, port)}


@pytest.fixture
def case() -> Case:
    return Case(build_guarded())


ALL = {
    "order", "order-relay", "order-consumer", "order-migrate", "stock", "stock-idle",
}  # fmt: skip


def test_every_workload_has_its_policy(case: Case) -> None:
    assert set(case.records) == set(case.pods) == ALL


def test_only_who_produces_or_consumes_gets_to_kafka(case: Case) -> None:
    for port in (9092, 9093):
        assert case.who_leads(KAFKA, port) == {"order-relay", "order-consumer"}
    assert case.who_leads(KAFKA, 9094) == set()
    assert case.who_leads(Pod("elsewhere"), 9092) == set()


def test_only_who_calls_a_service_gets_to_it(case: Case) -> None:
    callers = {"order", "order-relay", "order-consumer", "order-migrate"}
    assert case.who_reaches("stock", 8081) == callers
    assert case.who_reaches("stock", 8082) == set()
    assert case.who_reaches("order", 8080) == set()
    twin = Pod("elsewhere", case.pods["order"].labels)
    neighbour = Pod("team", {**case.pods["order"].labels, "eventpipeline.dev/pipeline": "other"})
    assert not case.reaches(twin, "stock", 8081)
    assert not case.reaches(neighbour, "stock", 8081)


def test_the_ingress_controller_gets_to_services_with_a_path_alone(case: Case) -> None:
    reached = {name for name in ALL for port in (8080, 8081, 9090)
               if case.reaches(CONTROLLER, name, port)}  # fmt: skip
    assert reached == {"order"}
    assert not case.reaches(Pod("edge", {"app": "other"}), "order", 8080)
    assert not case.reaches(OUTSIDE, "order", 8080)


def test_metrics_are_read_by_whom_the_object_names(case: Case) -> None:
    for name, port in (("order", 8080), ("stock", 8081), ("order-relay", 9090)):
        assert case.reaches(SCRAPER, name, port)
        assert not case.reaches(Pod("elsewhere", SCRAPER.labels), name, port)
    assert not any(case.reaches(SCRAPER, "order-migrate", port) for port in (8080, 9090))


def test_names_are_resolved_and_spans_sent_by_all(case: Case) -> None:
    assert {name for name in ALL if case.leads(name, DNS, 53, "UDP")} == ALL
    assert case.who_leads(DNS, 53) == ALL
    assert case.who_leads(Pod("kube-system"), 53) == set()
    assert case.who_leads(ZIPKIN, 9411) == ALL
    assert case.who_leads(ZIPKIN, 9410) == set()


def test_what_is_declared_for_all_one_service_or_one_worker_is_let_through_there(
    case: Case,
) -> None:
    assert case.who_leads(POSTGRES, 5432) == ALL
    assert case.who_leads(POSTGRES, 5433) == set()
    assert case.who_leads(SMTP, 25) == {"order-relay"}
    spec = build_guarded()
    spec["services"][0]["egress"] = ["10.9.0.0/16:443"]
    api = Pod(address="10.9.3.4")
    assert Case(spec).who_leads(api, 443) == {name for name in ALL if name.startswith("order")}
    assert case.who_leads(api, 443) == set()


@pytest.mark.parametrize(
    ("entry", "reached", "refused"),
    [
        ("db.example.com:5432", OUTSIDE, METADATA),
        ("my.svc.example.com:5432", OUTSIDE, METADATA),
        ("203.0.113.9:5432", OUTSIDE, Pod(address="203.0.113.8")),
        ("203.0.113.0/24:5432", OUTSIDE, Pod(address="203.0.114.9")),
        ("[2001:db8::/32]:5432", Pod(address="2001:db8::1"), Pod(address="2001:db9::1")),
        ("db:5432", Pod("team"), OUTSIDE),
        ("db.databases.svc:5432", POSTGRES, OUTSIDE),
        ("db.databases.svc.cluster.local.:5432", POSTGRES, Pod("team")),
    ],
)
def test_a_host_stands_for_these_addresses(entry: str, reached: Pod, refused: Pod) -> None:
    spec = build_guarded()
    spec["networkPolicy"]["egress"] = [entry]
    guarded = Case(spec)
    assert guarded.leads("stock", reached, 5432)
    assert not guarded.leads("stock", refused, 5432)
    assert not guarded.leads("stock", reached, 5431)


def test_nothing_is_said_twice_and_nothing_empty() -> None:
    spec = build_guarded()
    del spec["tracing"]
    spec["networkPolicy"] = {"dns": [], "ingressFrom": [{"cidr": "192.0.2.0/24"}]}
    spec["networkPolicy"]["metricsFrom"] = spec["networkPolicy"]["ingressFrom"]
    pipeline = build_pipeline(spec)
    policies = {
        name: render(pipeline, record)[0]["spec"]
        for name, record in build_traffic(pipeline).items()
    }
    assert "ingress" not in policies["order-migrate"]
    assert "egress" not in policies["stock"]
    assert policies["order"]["ingress"][0]["from"] == [{"ipBlock": {"cidr": "192.0.2.0/24"}}]


@pytest.mark.parametrize(
    "switch", [lambda s: s.pop("networkPolicy"), lambda s: s["networkPolicy"].update(enabled=False)]
)
def test_without_the_switch_there_is_no_policy(switch: Callable[[Json], Any]) -> None:
    spec = build_guarded()
    switch(spec)
    assert build_traffic(build_pipeline(spec)) == {}


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_objects_from_before_get_none(path: Path) -> None:
    spec = yaml.safe_load(path.read_text())["spec"]
    assert build_traffic(build_pipeline(spec)) == {}


async def test_policies_come_before_their_pods_and_go_with_the_switch() -> None:
    world, spec = World(), build_guarded()
    reconciler = Reconciler(world.ports, Settings(signing_key=b"key"))
    await reconciler.reconcile(build_body(spec), Wake.CHANGE)
    await reconciler.reconcile(build_body(spec), Wake.CHILD)
    assert world.runtime.names(TrafficRecord) == {f"traffic-{name}" for name in ALL}
    log = world.runtime.log
    assert all(log.index(f"traffic-{n}") < log.index(n) for n in ALL - {"order-migrate"})
    spec["networkPolicy"]["enabled"] = False
    await reconciler.reconcile(build_body(spec, generation=2), Wake.CHANGE)
    assert world.runtime.names(TrafficRecord) == set()
