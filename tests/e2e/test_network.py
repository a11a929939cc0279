"""Who reaches whom in the shop, where the cluster's network enforces NetworkPolicies.

Asked of the network itself: a pod that nobody may call is called. Where that goes through, there is
nothing to see here, and the tests say so.
"""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.conftest import Cluster
from servers.waiting import wait_for

# From whom, to where; every workload's image has Python.
DECLARED = [
    ("order", "postgres.platform.svc:5432"),
    ("order-relay", "kafka.platform.svc:9092"),
    ("stock-relay", "zipkin.platform.svc:9411"),
    ("email-sender", "maildev.platform.svc:1025"),
    ("prometheus", "shop-order.shop.svc:8080"),
]
UNDECLARED = [
    ("order", "shop-stock.shop.svc:8080"),
    ("order", "kafka.platform.svc:9092"),
    ("order", "vault.platform.svc:8200"),
    ("order", "maildev.platform.svc:1025"),
    ("email-consumer", "maildev.platform.svc:1025"),
    ("stock", "shop-order.shop.svc:8080"),
    ("stranger", "shop-order.shop.svc:8080"),
    ("stranger", "shop-stock.shop.svc:8080"),
]
CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=4).close()
except socket.gaierror as error:
    print(error)
except OSError:
    print("refused")
else:
    print("open")
"""


class Network:
    """Connections between pods, tried from within them."""

    def __init__(self, cluster: Cluster, stranger: str) -> None:
        self._cluster = cluster
        self._pods = {
            "prometheus": ("-n", "platform", "exec", "deploy/prometheus", "-c", "discover"),
            "stranger": ("-n", stranger, "exec", "pod/lonely"),
        }

    def try_edge(self, source: str, target: str) -> str:
        """`open` or `refused`, whether by an answer or by silence."""
        pod = self._pods.get(source, ("-n", "shop", "exec", f"deploy/shop-{source}"))
        host, _, port = target.rpartition(":")
        return self._cluster.run(*pod, "--", "python3", "-c", CONNECT, host, port).strip()


def lonely(namespace: str, image: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A pod that serves, and the policy by which nobody may call it."""
    server = {
        "name": "web",
        "image": image,
        "command": ["python3", "-m", "http.server", "8080", "--directory", "/tmp"],  # noqa: S108
    }
    metadata = {"name": "lonely", "namespace": namespace, "labels": {"app": "lonely"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [server]},
    }
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    return pod, policy


@pytest.fixture(scope="module")
def network(cluster: Cluster, shop_object: dict[str, Any]) -> Iterator[Network]:
    """The network of a cluster that enforces; a skip where it does not."""
    namespace = f"e2e-{secrets.token_hex(3)}"
    cluster.run("create", "namespace", namespace)
    pod, policy = lonely(namespace, shop_object["spec"]["services"][0]["image"])
    try:
        cluster.apply(pod)
        cluster.run("-n", namespace, "wait", "--for=condition=Ready", "pod/lonely")
        address = f"{cluster.get('pod', 'lonely', namespace)['status']['podIP']}:8080"
        network = Network(cluster, namespace)
        wait_for(
            "the lonely pod's server", lambda: network.try_edge("prometheus", address) == "open"
        )
        cluster.apply(policy)
        try:
            wait_for(
                "its policy",
                lambda: network.try_edge("prometheus", address) == "refused",
                seconds=10,
                interval=1,
            )
        except AssertionError:
            pytest.skip("the network of this cluster does not enforce NetworkPolicies")
        yield network
    finally:
        cluster.run("delete", "namespace", namespace, "--wait=false")


@pytest.mark.parametrize(("source", "target"), DECLARED)
def test_a_declared_edge_is_open(network: Network, source: str, target: str) -> None:
    assert network.try_edge(source, target) == "open"


@pytest.mark.parametrize(("source", "target"), UNDECLARED)
def test_an_undeclared_edge_is_refused(network: Network, source: str, target: str) -> None:
    assert network.try_edge(source, target) == "refused"
