"""The kind cluster: its configuration, whether it is alive, creating and removing it."""

import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from provision.cache import BUILD, log_file
from provision.commands import ProvisionError, capture, comes_true, run_logged, succeeds
from provision.docker import image_label
from provision.machine import CAP_SYS_RESOURCE, cgroup_version, lacks_capability

# Another name makes a second cluster beside the first, from another checkout.
NAME = os.environ.get("CLUSTER_NAME") or "eventpipeline"
NODE = f"{NAME}-control-plane"
CONTEXT = f"kind-{NAME}"
KUBECONFIG = BUILD / "kubeconfig"
RECORD = BUILD / "cluster.json"
DEFAULT_HTTP_PORT = 8088
POD_RANGE = "10.244.0.0/16"
SERVICE_RANGE = "10.96.0.0/12"
# How kubectl names an API server that starts, restarts or is cut off.
PASSING = (
    ": EOF",
    "unexpected EOF",
    "connection refused",
    "connection reset",
    "was refused",
    "i/o timeout",
    "handshake timeout",
    "etcdserver:",
    "(re)initializing",
    "the server is currently unable",
)
HOME_BUILT_LABEL = "dev.eventpipeline.node"


@dataclass(frozen=True)
class Node:
    """What the configuration depends on: the node image and the machine."""

    image: str
    home_built: bool
    cgroup_v1: bool
    lacks_sys_resource: bool


def inspect_node(image: str) -> Node:
    """The facts about a node of this image on this machine."""
    return Node(
        image=image,
        home_built=image_label(image, HOME_BUILT_LABEL) == "home-built",
        cgroup_v1=cgroup_version() == 1,
        lacks_sys_resource=lacks_capability(CAP_SYS_RESOURCE),
    )


def build_config(node: Node, http_port: int) -> str:
    """The configuration for kind, JSON being YAML too."""
    kubelet = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "serializeImagePulls": False,
    }
    if node.cgroup_v1:
        kubelet["failCgroupV1"] = False
    config = {
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "kind": "Cluster",
        "name": NAME,
        "networking": {
            "kubeProxyMode": "iptables",
            "disableDefaultCNI": node.home_built,
            "podSubnet": POD_RANGE,
            "serviceSubnet": SERVICE_RANGE,
            "apiServerAddress": "127.0.0.1",
        },
        # Without CAP_SYS_RESOURCE kubelet cannot set what it otherwise insists on.
        "featureGates": {"KubeletInUserNamespace": True} if node.lacks_sys_resource else {},
        "kubeadmConfigPatches": [json.dumps(kubelet)],
        "nodes": [
            {
                "role": "control-plane",
                "image": node.image,
                "extraPortMappings": [
                    {"containerPort": 80, "hostPort": http_port, "listenAddress": "127.0.0.1"}
                ],
            }
        ],
    }
    return json.dumps(config, indent=2)


def choose_port(wanted: int, attempts: int = 20) -> int:
    """The first port from `wanted` on that nobody listens on."""
    for port in range(wanted, wanted + attempts):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ProvisionError(
        f"ports {wanted} to {wanted + attempts - 1} are all taken; give a free one: HTTP_PORT=…"
    )


def kind(*arguments: str | Path) -> list[str | Path]:
    """A kind command line."""
    return [BUILD / "bin" / "kind", *arguments, "--name", NAME]


def kubectl(*arguments: str | Path) -> list[str | Path]:
    """A kubectl command line for this cluster and no other."""
    program = BUILD / "bin" / "kubectl"
    return [program, "--kubeconfig", KUBECONFIG, "--context", CONTEXT, *arguments]


def ask_cluster(*arguments: str | Path, patience: float = 90) -> str:
    """What kubectl prints; an API server that is out of reach for a moment is asked again.

    `patience` in seconds. Only for what may be done twice.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return capture(kubectl(*arguments))
        except ProvisionError as error:
            if not is_passing(str(error)) or time.monotonic() > deadline:
                raise
        time.sleep(1)


def is_passing(message: str) -> bool:
    """Whether kubectl failed for want of an API server, not because of what it was asked."""
    return any(sign in message for sign in PASSING)


def container_state() -> str:
    """`running`, `exited`, …; empty without a container."""
    command = ["docker", "container", "inspect", "--format", "{{.State.Status}}", NODE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def is_alive(patience: float = 180) -> bool:
    """Whether the cluster's API answers.

    The answer "no" costs the cluster its life, so one that starts, or lives on a machine with far
    too much to do, gets minutes to speak.
    """
    if container_state() != "running" or not read_record():
        return False
    try:
        write_kubeconfig()
    except ProvisionError:  # a node whose creation was interrupted has none
        return False
    ready = kubectl("get", "--raw", "/readyz", "--request-timeout=20s")
    return comes_true(lambda: succeeds(ready, timeout=30), patience, pause=1)


def create(node: Node, mode: str) -> int:
    """Creates the cluster; answers the port on 127.0.0.1 that leads to its ingress."""
    previous = read_record().get("httpPort")
    wanted = int(os.environ.get("HTTP_PORT") or str(previous or DEFAULT_HTTP_PORT))
    port = choose_port(wanted)
    config = BUILD / "kind.json"
    config.write_text(build_config(node, port))
    log = log_file("kind-create")
    log.unlink(missing_ok=True)
    arguments = ("create", "cluster", "--config", config, "--kubeconfig", KUBECONFIG, "--retain")
    run_logged(kind(*arguments), log)
    record = {"httpPort": port, "mode": mode, "nodeImage": node.image, "context": CONTEXT}
    RECORD.write_text(json.dumps(record, indent=2) + "\n")
    return port


def any_is_left() -> bool:
    """Whether another kind cluster runs on this machine's engine."""
    label = "label=io.x-k8s.kind.cluster"
    return bool(capture(["docker", "ps", "--quiet", "--filter", label]).strip())


def remove() -> bool:
    """Removes this cluster's container and volumes, if there is one."""
    if not container_state():
        return False
    capture(["docker", "rm", "-f", "-v", NODE])
    return True


def read_record() -> dict[str, object]:
    """What was written down when the cluster was created."""
    try:
        record = json.loads(RECORD.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_kubeconfig() -> None:
    """build/kubeconfig as it is now: another checkout may have created the cluster anew."""
    text = capture(kind("get", "kubeconfig"))
    KUBECONFIG.touch(mode=0o600)
    KUBECONFIG.write_text(text)
