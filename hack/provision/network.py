"""Keeps what is sent to a vanished pod or Service on this machine, and names that are not ours."""

import json
from pathlib import Path

from provision.cache import REPOSITORY
from provision.commands import ProvisionError, capture, comes_true, succeeds
from provision.console import CONSOLE
from provision.kindcluster import NODE, POD_RANGE, SERVICE_RANGE, ask_cluster, kubectl
from provision.machine import is_root

OFFLINE_DNS = REPOSITORY / "hack" / "manifests" / "coredns-offline.yaml"
RANGES = (POD_RANGE, SERVICE_RANGE)
KIND_NETWORK = "kind"
INTERFACES = Path("/sys/class/net")


def wait_for_vanished_nodes(seconds: int = 240) -> None:
    """Nobody is left on kind's network who would answer for the next node's address.

    A node that was killed together with its engine keeps its network namespace, and in it its
    address, until the kernel has taken that apart; the engine gives the address away at once.
    """
    ports = orphaned_ports()
    if not ports:
        return
    CONSOLE.say(f"! this machine: a node that is gone still holds {', '.join(ports)}")
    if not comes_true(lambda: not orphaned_ports(), seconds):
        raise ProvisionError(
            f"Docker's network `{KIND_NETWORK}` still holds {', '.join(ports)}, which belongs "
            f"to no container: a node that is gone would answer for the new one. End what "
            f"keeps it, or remove it: `ip link delete {ports[0]}`"
        )


def orphaned_ports() -> list[str]:
    """Interfaces on the bridge of kind's network beyond one for each of its containers."""
    try:
        found = json.loads(capture(["docker", "network", "inspect", KIND_NETWORK]))[0]
    except ProvisionError:
        return []
    ports = INTERFACES / f"br-{found['Id'][:12]}" / "brif"
    # An engine on another machine, or in a virtual one, has its bridge there.
    names = sorted(port.name for port in ports.iterdir()) if ports.is_dir() else []
    return names if len(names) > len(found["Containers"]) else []


def drop_stray_packets() -> None:
    """In the node: addresses of pods and Services never leave through its outer interface.

    After routing, because only there a packet to a Service has its final address and interface.
    """
    for addresses in RANGES:
        rule = ["POSTROUTING", "-o", "eth0", "-d", addresses, "-j", "DROP"]
        inside = ["docker", "exec", NODE, "iptables", "-w", "-t", "mangle"]
        if not succeeds([*inside, "-C", *rule]):
            capture([*inside, "-I", *rule])


def blackhole_ranges(node_image: str) -> None:
    """On the machine itself, in the air-gapped way, where its owner lets us: the same ranges."""
    if not is_root():
        return
    CONSOLE.say(f"! this machine: routes that drop {' and '.join(RANGES)} (`down` removes them)")
    for addresses in RANGES:
        capture([*_ip(node_image), "route", "replace", "blackhole", addresses])


def remove_blackholes(node_image: str) -> None:
    """Takes those routes away again."""
    for addresses in RANGES:
        succeeds([*_ip(node_image), "route", "del", "blackhole", addresses])


def _ip(node_image: str) -> list[str]:
    # iproute2 may be missing on the machine; the node image has it.
    run = ["docker", "run", "--rm", "--net=host", "--cap-add=NET_ADMIN"]
    return [*run, "--entrypoint", "ip", node_image]


def answer_only_cluster_names() -> None:
    """DNS without a way out, in one replica: two are for several nodes."""
    ask_cluster("apply", "--server-side", "--force-conflicts", "-f", OFFLINE_DNS)
    ask_cluster("-n", "kube-system", "scale", "deployment/coredns", "--replicas=1")
    ask_cluster("-n", "kube-system", "delete", "pod", "-l", "k8s-app=kube-dns", "--wait=false")


def wait_for_node(seconds: int = 120) -> None:
    """The node is Ready and DNS answers."""
    wait = ("wait", "--for=condition=Ready", f"--timeout={seconds}s")
    ask_cluster(*wait, "node", NODE)
    ask_cluster("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s")
    # Pods of a namespace are refused until its default ServiceAccount exists.
    account = kubectl("-n", "default", "get", "serviceaccount", "default")
    if not comes_true(lambda: succeeds(account), seconds):
        raise ProvisionError("the default ServiceAccount does not appear")
