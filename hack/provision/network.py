"""Keeps what is sent to a vanished pod or Service on this machine, and names that are not ours."""

import time

from provision.cache import REPOSITORY
from provision.commands import ProvisionError, capture, succeeds
from provision.console import CONSOLE
from provision.kindcluster import NODE, POD_RANGE, SERVICE_RANGE, kubectl
from provision.machine import is_root

OFFLINE_DNS = REPOSITORY / "hack" / "manifests" / "coredns-offline.yaml"
RANGES = (POD_RANGE, SERVICE_RANGE)


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
    capture(kubectl("apply", "--server-side", "--force-conflicts", "-f", OFFLINE_DNS))
    capture(kubectl("-n", "kube-system", "delete", "pod", "-l", "k8s-app=kube-dns", "--wait=false"))


def wait_for_node(seconds: int = 120) -> None:
    """The node is Ready and DNS answers."""
    wait = ("wait", "--for=condition=Ready", f"--timeout={seconds}s")
    capture(kubectl(*wait, "node", NODE))
    capture(
        kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=90s")
    )
    # Pods of a namespace are refused until its default ServiceAccount exists.
    deadline = time.monotonic() + seconds
    while not succeeds(kubectl("-n", "default", "get", "serviceaccount", "default")):
        if time.monotonic() > deadline:
            raise ProvisionError("the default ServiceAccount does not appear")
        time.sleep(0.5)
