"""charts/platform as rendered text: what it contains, what its switches and its schema do."""

import pytest
import yaml

from charts.platform_chart import (
    CHART,
    ChartError,
    Manifest,
    PlatformChart,
    list_names,
    list_pods,
)

COMPONENTS = ("kafka", "postgres", "vault", "zipkin", "maildev", "traefik", "prometheus")


@pytest.fixture(scope="module")
def manifests(platform_chart: PlatformChart) -> list[Manifest]:
    return platform_chart.render()


def list_containers(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {
        f"{pod}/{container['name']}": container
        for pod, spec in list_pods(manifests).items()
        for container in [*spec.get("initContainers", []), *spec["containers"]]
    }


def test_helm_lint_finds_nothing(platform_chart: PlatformChart) -> None:
    assert "0 chart(s) failed" in platform_chart.lint()


def test_services_have_the_names_that_the_example_refers_to(manifests: list[Manifest]) -> None:
    ports = {
        manifest["metadata"]["name"]: [port["port"] for port in manifest["spec"]["ports"]]
        for manifest in manifests
        if manifest["kind"] == "Service"
    }
    assert ports == {
        "kafka": [9092],
        "postgres": [5432],
        "vault": [8200],
        "zipkin": [9411],
        "maildev": [1025, 1080],
        "traefik": [80],
        "prometheus": [9090],
    }


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_component_that_is_off_leaves_nothing(
    platform_chart: PlatformChart, component: str
) -> None:
    names = list_names(platform_chart.render(**{f"{component}__enabled": False}))
    assert not {name for name in names if component in name.split("/")[1]}


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_others_stay_when_one_is_off(platform_chart: PlatformChart, component: str) -> None:
    pods = list_pods(platform_chart.render(**{f"{component}__enabled": False}))
    assert set(COMPONENTS) - {component} <= set(pods)


def test_with_everything_off_nothing_is_rendered(platform_chart: PlatformChart) -> None:
    assert (
        platform_chart.render(**{f"{component}__enabled": False for component in COMPONENTS}) == []
    )


def test_pages_have_an_ingress_each(manifests: list[Manifest]) -> None:
    hosts = {
        manifest["metadata"]["name"]: manifest["spec"]["rules"][0]["host"]
        for manifest in manifests
        if manifest["kind"] == "Ingress"
    }
    assert hosts == {
        "maildev": "mail.localhost",
        "zipkin": "zipkin.localhost",
        "prometheus": "metrics.localhost",
    }


def test_ingresses_have_a_switch(platform_chart: PlatformChart) -> None:
    names = list_names(platform_chart.render(ingress__enabled=False))
    assert not {name for name in names if name.startswith("Ingress/")}


def test_ingress_class_is_one_for_traefik_and_pages(platform_chart: PlatformChart) -> None:
    manifests = platform_chart.render(ingress__className="demo")
    assert "IngressClass/demo" in list_names(manifests)
    assert {
        manifest["spec"]["ingressClassName"]
        for manifest in manifests
        if manifest["kind"] == "Ingress"
    } == {"demo"}
    arguments = list_containers(manifests)["traefik/traefik"]["args"]
    assert "--providers.kubernetesingress.ingressclass=demo" in arguments


def test_every_image_comes_from_the_values(platform_chart: PlatformChart) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    images = {name: f"registry.example/{name}:1" for name in values["images"]}
    rendered = list_containers(
        platform_chart.render(images=images, redis__enabled=True, pgadmin__enabled=True)
    ).values()
    assert {container["image"] for container in rendered} == set(images.values())


def test_images_that_are_loaded_are_never_pulled_again(manifests: list[Manifest]) -> None:
    policies = {c["imagePullPolicy"] for c in list_containers(manifests).values()}
    assert policies == {"IfNotPresent"}


def test_containers_are_restricted_but_for_the_owner_of_volumes(
    manifests: list[Manifest],
) -> None:
    for name, container in list_containers(manifests).items():
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["capabilities"]["drop"] == ["ALL"], name
        if name.endswith("/own-volume"):
            assert context["capabilities"]["add"] == ["CHOWN"], name
        else:
            assert "add" not in context["capabilities"], name
            assert "runAsUser" not in context, name
    for name, spec in list_pods(manifests).items():
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name


def test_nothing_runs_as_root_where_volumes_need_no_owner(platform_chart: PlatformChart) -> None:
    containers = list_containers(platform_chart.render(volumeOwnership__enabled=False))
    assert not {name for name in containers if name.endswith("/own-volume")}


def test_every_container_requests_what_a_small_node_can_give(manifests: list[Manifest]) -> None:
    for name, container in list_containers(manifests).items():
        requests = container["resources"]["requests"]
        assert int(requests["cpu"].removesuffix("m")) <= 50, name
        assert requests["memory"], name


def test_every_server_has_probes(manifests: list[Manifest]) -> None:
    helpers = ("own-volume", "prepare", "discover")
    for name, container in list_containers(manifests).items():
        if name.split("/")[0] in COMPONENTS and not name.split("/")[1].startswith(helpers):
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), name
            assert container["startupProbe"]["periodSeconds"] <= 2, name


def test_only_who_asks_the_api_server_has_a_token(manifests: list[Manifest]) -> None:
    with_token = {
        name.split("-")[0] if name.startswith("vault-bootstrap") else name
        for name, spec in list_pods(manifests).items()
        if spec["automountServiceAccountToken"]
    }
    assert with_token == {"vault", "traefik", "prometheus"}


def test_no_rollout_waits_for_a_port_or_volume_that_the_old_pod_has(
    manifests: list[Manifest],
) -> None:
    for manifest in manifests:
        pods = list_pods([manifest])
        if manifest["kind"] == "StatefulSet":
            assert manifest["spec"]["podManagementPolicy"] == "Parallel", pods
        if manifest["kind"] == "Deployment":
            has_host_port = "hostPort" in str(pods)
            strategy = manifest["spec"]["strategy"]["type"]
            assert strategy == ("Recreate" if has_host_port else "RollingUpdate"), pods


def test_helm_waits_for_every_deployment(manifests: list[Manifest]) -> None:
    # It counts a Deployment as ready with maxUnavailable pods missing: with one pod, with none.
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            rolling = manifest["spec"]["strategy"].get("rollingUpdate", {"maxUnavailable": 0})
            assert rolling["maxUnavailable"] == 0, manifest["metadata"]["name"]


def test_what_is_real_is_persistent(manifests: list[Manifest]) -> None:
    claims = {
        manifest["metadata"]["name"]: manifest["spec"]["volumeClaimTemplates"][0]["spec"]
        for manifest in manifests
        if manifest["kind"] == "StatefulSet"
    }
    assert set(claims) == {"kafka", "postgres", "vault"}
    assert all("storageClassName" not in claim for claim in claims.values())


def test_a_storage_class_can_be_named(platform_chart: PlatformChart) -> None:
    kafka = platform_chart.find("StatefulSet", "kafka", kafka__storage__className="fast")
    assert kafka["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"


def test_kafka_advertises_its_service_and_hides_its_controller(
    platform_chart: PlatformChart,
) -> None:
    properties = platform_chart.find("ConfigMap", "kafka")["data"]["server.properties"]
    assert "advertised.listeners=PLAINTEXT://kafka.platform.svc:9092\n" in properties
    assert "CONTROLLER://127.0.0.1:9093\n" in properties
    assert "auto.create.topics.enable=false\n" in properties


def test_vault_is_a_persistent_server(platform_chart: PlatformChart) -> None:
    config = platform_chart.find("ConfigMap", "vault")["data"]["vault.hcl"]
    assert 'storage "raft"' in config
    assert "disable_mlock = true" in config
    assert 'plugin_directory = "/vault/plugins"' in config
    command = " ".join(
        list_containers([platform_chart.find("StatefulSet", "vault")])["vault/vault"]["command"]
    )
    assert "-dev" not in command


def test_no_key_is_in_an_argument_list(manifests: list[Manifest]) -> None:
    for name, container in list_containers(manifests).items():
        words = " ".join([*container.get("command", []), *container.get("args", [])]).lower()
        assert "password" not in words, name
        assert "token" not in words, name
        assert "unseal-key" not in words, name


def test_the_unsealer_sees_the_unseal_key_alone(platform_chart: PlatformChart) -> None:
    unsealer = platform_chart.find("Deployment", "vault-unsealer")["spec"]["template"]["spec"]
    keys = next(volume["secret"] for volume in unsealer["volumes"] if volume["name"] == "keys")
    assert keys["items"] == [{"key": "unseal-key", "path": "unseal-key"}]
    assert keys["optional"] is True


def test_bootstrap_runs_again_when_what_it_would_do_changes(platform_chart: PlatformChart) -> None:
    first = platform_chart.find("Job", "vault-bootstrap-*")["metadata"]["name"]
    again = platform_chart.find("Job", "vault-bootstrap-*")["metadata"]["name"]
    other = platform_chart.find("Job", "vault-bootstrap-*", vault__kv__path="other")["metadata"][
        "name"
    ]
    assert first == again != other


def test_bootstrap_is_no_hook(platform_chart: PlatformChart) -> None:
    # `helm --wait` waits for Vault before post-install hooks, and Vault is ready through the Job.
    assert "annotations" not in platform_chart.find("Job", "vault-bootstrap-*")["metadata"]


def test_bootstrap_touches_one_secret(platform_chart: PlatformChart) -> None:
    rules = platform_chart.find("Role", "vault-bootstrap")["rules"]
    for rule in rules:
        assert rule["verbs"] == ["create"] or rule["resourceNames"] == ["vault-demo-keys"]


def test_without_postgres_vault_has_no_database_to_configure(platform_chart: PlatformChart) -> None:
    config = platform_chart.find("ConfigMap", "vault-bootstrap", postgres__enabled=False)["data"]
    assert yaml.safe_load(config["bootstrap.json"])["postgres"] == {}


@pytest.mark.parametrize("on", [True, False])
def test_access_log_is_a_switch(platform_chart: PlatformChart, *, on: bool) -> None:
    traefik = platform_chart.find("Deployment", "traefik", traefik__accessLog=on)
    arguments = list_containers([traefik])["traefik/traefik"]["args"]
    assert ("--accesslog.format=json" in arguments) is on


@pytest.mark.parametrize("on", [True, False])
def test_smtp_login_is_a_switch(platform_chart: PlatformChart, *, on: bool) -> None:
    maildev = platform_chart.find("Deployment", "maildev", maildev__requireLogin=on)
    variables = {item["name"] for item in list_containers([maildev])["maildev/maildev"]["env"]}
    assert ("MAILDEV_INCOMING_PASS" in variables) is on


def test_traefik_needs_no_capability_for_port_80(platform_chart: PlatformChart) -> None:
    container = list_containers([platform_chart.find("Deployment", "traefik")])["traefik/traefik"]
    assert container["ports"][0] == {"name": "http", "containerPort": 8000, "hostPort": 80}


def test_pull_secrets_reach_every_pod(platform_chart: PlatformChart) -> None:
    for name, spec in list_pods(platform_chart.render(imagePullSecrets=["registry"])).items():
        assert spec["imagePullSecrets"] == [{"name": "registry"}], name


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"kafak": {}}, "kafak"),
        ({"kafka__enabled": "yes"}, "/kafka/enabled"),
        ({"kafka__heap": "a lot"}, "/kafka/heap"),
        ({"images__kafka": "apache/kafka"}, "/images/kafka"),
        ({"postgres__databases": []}, "/postgres/databases"),
        ({"postgres__databases": [{"name": "Orders; DROP", "role": "order"}]}, "/name"),
        ({"postgres__applicationUser": "shop'--"}, "/postgres/applicationUser"),
        ({"postgres__storage__size": "big"}, "/postgres/storage/size"),
        ({"vault__leases__default": "soon"}, "/vault/leases/default"),
        ({"vault__role__serviceAccounts": []}, "/vault/role/serviceAccounts"),
        ({"zipkin__maxSpans": 1}, "/zipkin/maxSpans"),
        ({"traefik__hostPort": 70000}, "/traefik/hostPort"),
        ({"ingress__hosts__mail": "mail localhost"}, "/ingress/hosts/mail"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(
    platform_chart: PlatformChart, values: dict[str, object], named: str
) -> None:
    with pytest.raises(ChartError) as refusal:
        platform_chart.render(**values)
    assert named in str(refusal.value)


def test_traefik_is_scraped_when_that_is_wished(platform_chart: PlatformChart) -> None:
    assert "PodMonitor" not in {m["kind"] for m in platform_chart.render()}
    wished = {"traefik__podMonitor__enabled": True, "traefik__podMonitor__labels": {"release": "p"}}
    monitor = platform_chart.find("PodMonitor", "traefik", **wished)
    assert monitor["metadata"]["labels"]["release"] == "p"
    pod = platform_chart.find("Deployment", "traefik")["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {p["name"] for p in pod["spec"]["containers"][0]["ports"]}
