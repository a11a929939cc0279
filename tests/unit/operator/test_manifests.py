"""Records → manifests: restricted, owned, hashed, and the same for the same input."""

import copy
import json
from typing import Any

import pytest

from eventpipeline_operator.adapters.kube.manifests import render
from eventpipeline_operator.adapters.kube.overlay import overlay
from eventpipeline_operator.desired.records import SecretRecord, SecretReference, WorkloadRecord
from eventpipeline_operator.desired.routes import build_route
from eventpipeline_operator.desired.workloads import build_migration, build_workloads
from unit.operator.bodies import build_pipeline, build_spec

Json = dict[str, Any]
DELIVERED = {
    "db": SecretReference("db", "r1", "1", env=("DATABASE_URL",)),
    "mail": SecretReference("mail", "r2", "1", files=("smtp.json",)),
}


def render_service(spec: Json | None = None, name: str = "order") -> dict[str, Json]:
    """All manifests of one service by kind and name."""
    pipeline = build_pipeline(spec)
    service = next(s for s in pipeline.services if s.name == name)
    records: list[Any] = [*build_workloads(pipeline, service, DELIVERED)]
    migration = build_migration(pipeline, service, DELIVERED)
    records += [migration] if migration else []
    manifests = [m for record in records for m in render(pipeline, record)]
    return {f"{m['kind']}/{m['metadata']['name']}": m for m in manifests}


def find(manifests: dict[str, Json], prefix: str) -> Json:
    (found,) = (m for name, m in manifests.items() if name.startswith(prefix))
    return found


def pod_of(manifests: dict[str, Json], name: str = "Deployment/shop-order") -> Json:
    found: Json = manifests[name]["spec"]["template"]["spec"]
    return found


def test_a_service_becomes_these_objects() -> None:
    names = {name.split("-migrate-")[0] for name in render_service()}
    kinds = {name for name in names if not name.startswith("ConfigMap")}
    assert kinds == {
        "ServiceAccount/shop-order",
        "ServiceAccount/shop-order-relay",
        "ServiceAccount/shop-order-consumer",
        "ServiceAccount/shop-order-migrate",
        "Deployment/shop-order",
        "Deployment/shop-order-relay",
        "Deployment/shop-order-consumer",
        "Service/shop-order",
        "PodDisruptionBudget/shop-order",
        "PodDisruptionBudget/shop-order-relay",
        "PodDisruptionBudget/shop-order-consumer",
        "Job/shop-order",
    }


def test_every_object_is_owned_and_labelled() -> None:
    for manifest in render_service().values():
        meta = manifest["metadata"]
        (owner,) = meta["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == (
            "EventPipeline",
            "uid-1",
            True,
        )
        assert meta["labels"]["app.kubernetes.io/managed-by"] == "eventpipeline"
        assert meta["labels"]["eventpipeline.dev/pipeline"] == "shop"


def test_pods_meet_the_restricted_standard() -> None:
    for manifest in render_service().values():
        if manifest["kind"] not in {"Deployment", "Job"}:
            continue
        pod = manifest["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        (container,) = pod["containers"]
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert container["resources"]["requests"]


def test_an_api_stops_after_its_endpoints_know() -> None:
    pod = pod_of(render_service())
    (container,) = pod["containers"]
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] == 5
    assert pod["terminationGracePeriodSeconds"] == 35


def test_secrets_arrive_as_variables_and_files_by_reference_alone() -> None:
    spec = build_spec()
    spec["services"][0]["secrets"] = ["db", "mail"]
    pod = pod_of(render_service(spec))
    (container,) = pod["containers"]
    reference = {"name": "shop-db-r1", "key": "DATABASE_URL"}
    assert {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": reference}} in container["env"]
    mount = next(m for m in container["volumeMounts"] if m["name"] == "secret-mail")
    assert mount["mountPath"] == "/var/run/secrets/eventpipeline/mail"
    volume = next(v for v in pod["volumes"] if v["name"] == "secret-mail")
    assert volume["secret"]["secretName"] == "shop-mail-r2"


def test_a_config_map_changes_its_name_with_its_content_and_only_then() -> None:
    spec = build_spec()
    before = find(render_service(spec), "ConfigMap/shop-order-relay-")
    spec["services"][0]["workers"][0]["config"] = {"NEW": "1"}
    after = render_service(spec)
    assert (
        find(after, "ConfigMap/shop-order-relay-")["metadata"]["name"]
        != (before["metadata"]["name"])
    )
    assert before["immutable"] is True
    untouched = "ConfigMap/shop-order-consumer-"
    assert find(after, untouched) == find(render_service(), untouched)


def test_the_same_input_gives_the_same_manifests() -> None:
    assert json.dumps(render_service()) == json.dumps(render_service(build_spec()))


@pytest.mark.parametrize(("replicas", "budget"), [(None, True), (0, False), (1, False), (3, True)])
def test_a_budget_comes_with_more_than_one_replica(replicas: int | None, *, budget: bool) -> None:
    spec = build_spec()
    spec["services"][0].pop("replicas")
    if replicas is not None:
        spec["services"][0]["replicas"] = replicas
    manifests = render_service(spec)
    assert ("PodDisruptionBudget/shop-order" in manifests) is budget
    assert manifests["Deployment/shop-order"]["spec"].get("replicas") == replicas


@pytest.mark.parametrize(
    ("probes", "action"),
    [
        ({}, {"httpGet": {"path": "/livez", "port": 8080}}),
        ({"port": 81, "livenessPath": "/h"}, {"httpGet": {"path": "/h", "port": 81}}),
        ({"type": "tcp"}, {"tcpSocket": {"port": 8080}}),
        ({"type": "exec", "command": ["true"]}, {"exec": {"command": ["true"]}}),
    ],
)
def test_probes_ask_as_told(probes: Json, action: Json) -> None:
    spec = build_spec()
    spec["services"][0]["probes"] = probes
    (container,) = pod_of(render_service(spec))["containers"]
    assert container["livenessProbe"].items() >= action.items()
    assert container["startupProbe"]["periodSeconds"] == 1


def test_no_probe_is_asked_where_none_is_wanted() -> None:
    spec = build_spec()
    spec["services"][0]["probes"] = {"type": "none"}
    (container,) = pod_of(render_service(spec))["containers"]
    assert not [field for field in container if field.endswith("Probe")]


def test_workers_are_asked_on_their_metrics_port() -> None:
    (container,) = pod_of(render_service(), "Deployment/shop-order-relay")["containers"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": 9090}


def test_placement_reaches_the_pod() -> None:
    spec = build_spec()
    spec["services"][0].update(
        nodeSelector={"disk": "fast"},
        tolerations=[{"key": "a", "operator": "Exists"}],
        affinity={"nodeAffinity": {}},
        imagePullSecrets=["registry"],
        serviceAccountName="theirs",
        resources={"limits": {"cpu": 1}},
        volumes=[
            {"name": "data", "mountPath": "/data", "source": {"emptyDir": {}}, "readOnly": True}
        ],
    )
    manifests = render_service(spec)
    pod = pod_of(manifests)
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["tolerations"] == [{"key": "a", "operator": "Exists"}]
    assert pod["affinity"] == {"nodeAffinity": {}}
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["serviceAccountName"] == "theirs"
    assert {"name": "data", "emptyDir": {}} in pod["volumes"]
    (container,) = pod["containers"]
    assert {"name": "data", "mountPath": "/data", "readOnly": True} in container["volumeMounts"]
    assert container["resources"] == {"limits": {"cpu": "1"}}
    assert "ServiceAccount/shop-order" not in manifests


def test_the_overlay_comes_last() -> None:
    spec = build_spec()
    spec["services"][0]["podTemplate"] = {
        "metadata": {"annotations": {"a": "b"}},
        "spec": {
            "terminationGracePeriodSeconds": 90,
            "topologySpreadConstraints": None,
            "containers": [{"name": "main", "stdin": True}, {"name": "side", "image": "x"}],
        },
    }
    template = render_service(spec)["Deployment/shop-order"]["spec"]["template"]
    assert template["metadata"]["annotations"] == {"a": "b"}
    assert template["metadata"]["labels"]
    assert template["spec"]["terminationGracePeriodSeconds"] == 90
    assert "topologySpreadConstraints" not in template["spec"]
    main, side = template["spec"]["containers"]
    assert main["stdin"] is True
    assert main["image"] == "order:1"
    assert side == {"name": "side", "image": "x"}


def test_an_overlay_leaves_its_base_as_it_was() -> None:
    base = {"a": {"b": 1}, "items": [{"name": "x", "v": 1}]}
    before = copy.deepcopy(base)
    merged = overlay(base, {"a": {"c": 2}, "items": [{"name": "x", "v": 2}]})
    assert merged == {"a": {"b": 1, "c": 2}, "items": [{"name": "x", "v": 2}]}
    assert base == before


def test_a_route_becomes_one_ingress() -> None:
    spec = build_spec()
    spec["ingress"].update(tls={"secretName": "cert"}, annotations={"x": "y"})
    pipeline = build_pipeline(spec)
    route = build_route(pipeline)
    assert route
    (ingress,) = render(pipeline, route)
    assert ingress["metadata"]["name"] == "shop"
    assert ingress["metadata"]["annotations"] == {"x": "y"}
    assert ingress["spec"]["ingressClassName"] == "traefik"
    assert ingress["spec"]["tls"] == [{"hosts": ["shop.localhost"], "secretName": "cert"}]
    (rule,) = ingress["spec"]["rules"]
    assert [p["backend"]["service"]["name"] for p in rule["http"]["paths"]] == [
        "shop-order",
        "shop-stock",
    ]


def test_limits_and_retries_become_middlewares_that_the_ingress_names() -> None:
    spec = build_spec()
    chain = "traefik.ingress.kubernetes.io/router.middlewares"
    spec["ingress"].update(
        rateLimit={"requestsPerSecond": 50}, retries=2, annotations={chain: "team-own@file"}
    )
    pipeline = build_pipeline(spec)
    route = build_route(pipeline)
    assert route
    limit, retry, ingress = render(pipeline, route)
    assert (limit["kind"], limit["metadata"]["name"]) == ("Middleware", "shop-rate-limit")
    assert limit["spec"] == {"rateLimit": {"average": 50, "period": "1s", "burst": 50}}
    assert retry["spec"]["retry"]["attempts"] == 3
    assert limit["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
    named = "team-own@file,team-shop-rate-limit@kubernetescrd,team-shop-retries@kubernetescrd"
    assert ingress["metadata"]["annotations"] == {chain: named}


def test_workers_spread_over_nodes_and_have_a_budget_as_wide_as_their_scale() -> None:
    spec = build_spec()
    spec["services"][0]["workers"][1]["scale"] = {"min": 1, "max": 4}
    spec["services"][0]["workers"][0]["replicas"] = 1
    manifests = render_service(spec)
    (spread,) = pod_of(manifests, "Deployment/shop-order-relay")["topologySpreadConstraints"]
    assert spread["topologyKey"] == "kubernetes.io/hostname"
    assert spread["labelSelector"]["matchLabels"] == {
        "eventpipeline.dev/pipeline": "shop",
        "eventpipeline.dev/workload": "order-relay",
    }
    assert "PodDisruptionBudget/shop-order-consumer" in manifests
    assert "PodDisruptionBudget/shop-order-relay" not in manifests


def test_each_workload_runs_under_an_account_of_its_own() -> None:
    manifests = render_service()
    accounts = [
        m["spec"]["template"]["spec"]["serviceAccountName"]
        for m in manifests.values()
        if m["kind"] in {"Deployment", "Job"}
    ]
    assert len(accounts) == len(set(accounts)) == 4
    assert {f"ServiceAccount/{name}" for name in accounts} <= set(manifests)


def test_a_secret_is_immutable_and_named_by_its_revision() -> None:
    record = SecretRecord("db", "r1", "s", "4", env={"A": "x"}, files={"f": "y"})
    (manifest,) = render(build_pipeline(), record)
    assert manifest["metadata"]["name"] == "shop-db-r1"
    assert manifest["immutable"] is True
    assert manifest["data"] == {"A": "eA==", "f": "eQ=="}


def test_derived_names_fit_at_the_longest() -> None:
    spec = build_spec()
    service = spec["services"][0]
    service["name"], service["calls"] = "s" * 20, []
    service["workers"][0]["name"] = "w" * 15
    spec["secrets"][0]["name"] = "x" * 30
    service["secrets"] = ["x" * 30]
    pipeline = build_pipeline(spec, name="p" * 20)
    delivered = {"x" * 30: SecretReference("x" * 30, "r" * 12, "1", env=("A",))}
    records: list[Any] = [*build_workloads(pipeline, pipeline.services[0], delivered)]
    records.append(build_migration(pipeline, pipeline.services[0], delivered))
    for record in records:
        for manifest in render(pipeline, record):
            meta = manifest["metadata"]
            limit = 253 if manifest["kind"] in {"ConfigMap", "Secret"} else 63
            assert len(meta["name"]) <= limit, meta["name"]
            assert all(len(value) <= 63 for value in meta["labels"].values())
    assert any(isinstance(record, WorkloadRecord) for record in records)
