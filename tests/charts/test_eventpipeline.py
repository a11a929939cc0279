"""The operator's chart as helm renders it."""

import json
import re
from typing import Any

import pytest

from servers.kubernetes import render_chart
from servers.local import find_artifact

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def helm() -> None:
    found = find_artifact("helm")
    if isinstance(found, str):
        pytest.skip(found)


def find(kind: str, *arguments: str) -> Json:
    (found,) = (m for m in render_chart(*arguments) if m["kind"] == kind)
    return found


def container(*arguments: str) -> Json:
    found: Json = find("Deployment", *arguments)["spec"]["template"]["spec"]["containers"][0]
    return found


def rules(manifest: Json) -> set[tuple[str, str]]:
    """Every verb on every resource."""
    return {
        (resource, verb)
        for rule in manifest["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_api_is_kept_on_uninstall_and_can_be_left_out() -> None:
    crd = find("CustomResourceDefinition")
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    without = render_chart("--set", "crds.install=false", "--set", "admissionPolicy.install=false")
    kinds = {m["kind"] for m in without}
    assert not kinds & {"CustomResourceDefinition", "ValidatingAdmissionPolicy"}


def test_the_policy_is_in_force() -> None:
    policy, binding = find("ValidatingAdmissionPolicy"), find("ValidatingAdmissionPolicyBinding")
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert binding["spec"]["validationActions"] == ["Deny"]


def test_the_operator_meets_the_restricted_standard() -> None:
    pod = find("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = container()["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_image_and_settings_come_from_the_values() -> None:
    values = {
        "image": {"repository": "registry:5000/operator", "tag": "abc"},
        "watchNamespaces": ["one", "two"],
        "topicGrants": {"one": ["market."]},
        "externalGrants": {"two": ["prices."]},
        "deletionBudget": {"maxRecords": 0},
        "resyncSeconds": 30,
    }
    arguments = [
        part
        for key, value in values.items()
        for part in ("--set-json", f"{key}={json.dumps(value)}")
    ]
    found = container(*arguments)
    assert found["image"] == "registry:5000/operator:abc"
    environment = {each["name"]: each.get("value") for each in found["env"]}
    assert environment["WATCH_NAMESPACES"] == "one,two"
    assert json.loads(environment["TOPIC_GRANTS"] or "") == {"one": ["market."]}
    assert json.loads(environment["EXTERNAL_GRANTS"] or "") == {"two": ["prices."]}
    assert environment["DELETION_MAX_RECORDS"] == "0"
    assert environment["RESYNC_SECONDS"] == "30"


def test_rights_hold_in_the_watched_namespaces_alone_when_some_are_named() -> None:
    manifests = render_chart("--set-json", 'watchNamespaces=["one","two"]')
    assert "ClusterRole" not in {m["kind"] for m in manifests}
    roles = {
        m["metadata"]["namespace"]: rules(m)
        for m in manifests
        if m["kind"] == "Role" and m["metadata"]["name"].endswith("-pipelines")
    }
    assert set(roles) == {"one", "two"}
    assert roles["one"] == rules(find("ClusterRole"))


def test_the_operator_may_not_run_or_read_more_than_it_needs() -> None:
    granted = rules(find("ClusterRole"))
    assert not {verb for _, verb in granted} & {"*", "deletecollection", "escalate", "bind"}
    assert not {resource for resource, _ in granted} & {"*", "pods/exec", "nodes", "roles"}
    assert {verb for resource, verb in granted if resource == "pods"} == {"list", "watch"}
    assert {verb for resource, verb in granted if resource == "eventpipelines"} == {
        "get", "list", "watch", "patch",
    }  # fmt: skip


def test_two_replicas_come_with_a_disruption_budget() -> None:
    assert find("Deployment")["spec"]["replicas"] == 2
    assert find("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    alone = render_chart("--set", "replicas=1")
    assert "PodDisruptionBudget" not in {m["kind"] for m in alone}


def test_kafka_identities_are_told_and_may_be_read() -> None:
    sasl = {"mechanism": "PLAIN", "secret": "kafka-admin"}
    admins = {"kafka:9093": {"sasl": sasl, "tls": {"caSecret": "kafka-ca"}, "namespaces": ["*"]}}
    arguments = ("--set-json", f"kafkaAdmins={json.dumps(admins)}")
    environment = {each["name"]: each.get("value") for each in container(*arguments)["env"]}
    assert json.loads(environment["KAFKA_ADMINS"] or "") == admins
    (readable,) = (
        rule["resourceNames"]
        for rule in find("Role", *arguments)["rules"]
        if "secrets" in rule["resources"] and rule["verbs"] == ["get"]
    )
    assert set(readable) == {"eventpipeline-signing-key", "kafka-admin", "kafka-ca"}


def test_only_the_operators_own_records_may_be_changed_in_its_namespace() -> None:
    for resource, name, others in (
        ("secrets", "vault", []),
        ("configmaps", "journal", ["eventpipeline-left-behind"]),
    ):
        (changeable,) = (
            rule["resourceNames"]
            for rule in find("Role")["rules"]
            if resource in rule["resources"] and "patch" in rule["verbs"]
        )
        assert changeable == [*others, *(f"eventpipeline-{name}-{n:x}" for n in range(16))]


def test_rights_to_traefiks_middlewares_come_with_its_class_alone() -> None:
    wanted = ("--set", "traefikClass=traefik")
    assert ("middlewares", "patch") not in rules(find("ClusterRole"))
    assert ("middlewares", "patch") in rules(find("ClusterRole", *wanted))
    environment = {each["name"]: each.get("value") for each in container(*wanted)["env"]}
    assert environment["TRAEFIK_CLASS"] == "traefik"


def test_neither_policy_nor_monitor_comes_unasked() -> None:
    kinds = {m["kind"] for m in render_chart()}
    assert not kinds & {"NetworkPolicy", "ServiceMonitor", "Service"}


def test_the_network_policy_lets_in_on_the_metrics_port_alone() -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    arguments = ("--set", "networkPolicy.install=true")
    spec = find("NetworkPolicy", *arguments)["spec"]
    labels = find("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress"]
    assert spec["ingress"] == [{"ports": [{"port": "metrics", "protocol": "TCP"}]}]
    chosen = find(
        "NetworkPolicy", *arguments, "--set-json", f"networkPolicy.from={json.dumps(peers)}"
    )
    assert chosen["spec"]["ingress"][0]["from"] == peers


def test_a_service_monitor_finds_every_replica() -> None:
    arguments = ("--set", "serviceMonitor.install=true", "--set", "serviceMonitor.labels.release=p")
    monitor, service = find("ServiceMonitor", *arguments), find("Service", *arguments)
    labels = find("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert monitor["metadata"]["labels"]["release"] == "p"
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    assert wanted <= service["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= labels.items()
    assert service["spec"]["clusterIP"] == "None"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {p["name"] for p in service["spec"]["ports"]}
    assert {p["targetPort"] for p in service["spec"]["ports"]} <= {
        p["name"] for p in container()["ports"]
    }


@pytest.mark.parametrize(
    "value",
    [
        "replicas=-1",
        "logLevel=loud",
        "imagee.tag=x",
        "resyncSeconds=1",
        "topicGrants=x",
        "deletionBudget.maxRecords=-1",
    ],
)
def test_a_wrong_value_is_refused(value: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(value.split("=", maxsplit=1)[0][:6])):
        render_chart("--set", value)
