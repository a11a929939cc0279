import json
import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provision import kindcluster, network
from provision.commands import ProvisionError
from provision.diagnosis import pipeline_messages, unready_pods
from provision.kindcluster import Node, build_config, choose_port
from provision.machine import lacks_capability, trust_environment

PLAIN = Node(image="kindest/node:v1", home_built=False, cgroup_v1=False, lacks_sys_resource=False)


def config_of(node: Node) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(build_config(node, 8088))
    return config


def kubelet_of(node: Node) -> dict[str, Any]:
    patch: dict[str, Any] = json.loads(config_of(node)["kubeadmConfigPatches"][0])
    return patch


def test_an_upstream_node_on_a_laptop_keeps_kinds_defaults() -> None:
    config = config_of(PLAIN)
    assert config["networking"]["disableDefaultCNI"] is False
    assert config["featureGates"] == {}
    assert "failCgroupV1" not in kubelet_of(PLAIN)


def test_a_home_built_node_brings_its_own_network() -> None:
    assert config_of(replace(PLAIN, home_built=True))["networking"]["disableDefaultCNI"] is True


def test_a_machine_without_the_capability_gets_the_gate() -> None:
    gates = config_of(replace(PLAIN, lacks_sys_resource=True))["featureGates"]
    assert gates == {"KubeletInUserNamespace": True}


def test_an_old_control_group_hierarchy_is_accepted() -> None:
    assert kubelet_of(replace(PLAIN, cgroup_v1=True))["failCgroupV1"] is False


def test_everything_is_published_on_the_loopback_address_alone() -> None:
    config = config_of(PLAIN)
    assert config["networking"]["apiServerAddress"] == "127.0.0.1"
    assert config["nodes"][0]["extraPortMappings"] == [
        {"containerPort": 80, "hostPort": 8088, "listenAddress": "127.0.0.1"}
    ]


def test_a_taken_port_gives_way_to_the_next() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert choose_port(port) > port


def test_without_a_free_port_the_message_says_what_to_set() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ProvisionError, match="HTTP_PORT"):
            choose_port(taken.getsockname()[1], attempts=1)


@pytest.mark.parametrize(
    ("bounding_set", "lacks"), [("000001fffeffffff", True), ("000001ffffffffff", False)]
)
def test_a_missing_capability_is_read_from_the_bounding_set(
    bounding_set: str, *, lacks: bool
) -> None:
    assert lacks_capability(24, f"Name: x\nCapBnd:\t{bounding_set}\n") is lacks


def test_what_the_machines_owner_trusts_stays() -> None:
    assert "PIP_CERT" not in trust_environment({"PIP_CERT": "/own.pem"})


def test_pods_that_are_ready_or_finished_need_no_explanation() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Running"}
    waiting = {"conditions": [{"type": "Ready", "status": "False"}], "phase": "Running"}
    pods = {"ok": ready, "done": {"phase": "Succeeded"}, "waits": waiting, "new": {}}
    items = [{"metadata": {"name": name}, "status": status} for name, status in pods.items()]
    assert unready_pods(json.dumps({"items": items})) == ["waits", "new"]


def test_a_pipeline_is_explained_by_its_conditions() -> None:
    conditions = [
        {"type": "TopicsReady", "status": "True"},
        {"type": "Stalled", "status": "False"},
        {"type": "SecretsReady", "status": "False", "reason": "Denied", "message": "role"},
    ]
    item = {"metadata": {"namespace": "n", "name": "p"}, "status": {"conditions": conditions}}
    messages = pipeline_messages(json.dumps({"items": [item]}))
    assert messages == ["  n/p SecretsReady=False Denied: role"]


def test_an_api_server_that_is_cut_off_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = ['`kubectl` ended with 1: failed to download openapi: Get "https://x": EOF']

    def capture(_command: object) -> str:
        if failures:
            raise ProvisionError(failures.pop())
        return "applied"

    monkeypatch.setattr(kindcluster, "capture", capture)
    assert kindcluster.ask_cluster("apply") == "applied"


def test_a_node_that_was_never_finished_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def capture(_command: object) -> str:
        raise ProvisionError("could not read /etc/kubernetes/admin.conf")

    monkeypatch.setattr(kindcluster, "container_state", lambda: "running")
    monkeypatch.setattr(kindcluster, "read_record", lambda: {"httpPort": 8088})
    monkeypatch.setattr(kindcluster, "capture", capture)
    assert not kindcluster.is_alive()


def test_a_refusal_by_the_api_server_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    def capture(_command: object) -> str:
        raise ProvisionError('`kubectl` ended with 1: namespaces "x" is forbidden')

    monkeypatch.setattr(kindcluster, "capture", capture)
    with pytest.raises(ProvisionError, match="forbidden"):
        kindcluster.ask_cluster("apply")


@pytest.fixture
def bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ports of kind's bridge, where one container lives."""
    network_id = "a84823eeaeffbc2e"
    answer = json.dumps([{"Id": network_id, "Containers": {"aec9": {"Name": "another"}}}])
    monkeypatch.setattr(network, "capture", lambda _command: answer)
    monkeypatch.setattr(network, "INTERFACES", tmp_path)
    ports = tmp_path / f"br-{network_id[:12]}" / "brif"
    ports.mkdir(parents=True)
    (ports / "veth1").touch()
    return ports


def test_the_interfaces_of_living_containers_are_no_orphans(bridge: Path) -> None:
    assert list(bridge.iterdir())
    assert network.orphaned_ports() == []


def test_a_node_that_keeps_its_interface_is_named_with_the_way_out(bridge: Path) -> None:
    (bridge / "veth2").touch()
    with pytest.raises(ProvisionError, match=r"veth1, veth2.*ip link delete"):
        network.wait_for_vanished_nodes(seconds=0)


def test_a_cluster_waits_until_the_interface_is_gone(bridge: Path) -> None:
    (bridge / "veth2").touch()
    vanishing = threading.Timer(0.1, (bridge / "veth2").unlink)
    vanishing.start()
    network.wait_for_vanished_nodes(seconds=30)
    vanishing.join()
    assert network.orphaned_ports() == []
