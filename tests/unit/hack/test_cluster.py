import json
import socket
from dataclasses import replace
from typing import Any

import pytest

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
