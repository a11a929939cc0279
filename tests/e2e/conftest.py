"""The kind cluster as the tests see it: kubectl, the Ingress, and a namespace per test.

`make test-e2e` has deployed everything before (hack/deploy).
"""

import json
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from e2e.traffic import Traffic
from e2e.vaults import VaultAdmin, administrate
from servers.waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
KUBECONFIG = REPOSITORY / "build" / "kubeconfig"
KUBECTL = REPOSITORY / "build" / "bin" / "kubectl"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the cluster."""
    for item in items:
        if Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)


class Cluster:
    """kubectl against the kind cluster; refuses any other."""

    def __init__(self) -> None:
        context = self.run("config", "current-context").strip()
        if not context.startswith("kind-"):
            pytest.exit(f"refusing the context {context!r}: only kind- clusters are tested", 3)

    def attempt(self, *arguments: str, manifest: object = None) -> subprocess.CompletedProcess[str]:
        """One kubectl call, however it ends."""
        return subprocess.run(
            [KUBECTL, "--kubeconfig", KUBECONFIG, *arguments],
            input=yaml.safe_dump_all(manifest) if isinstance(manifest, list) else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def run(self, *arguments: str, manifest: object = None) -> str:
        """The output of one kubectl call that must succeed."""
        done = self.attempt(*arguments, manifest=manifest)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """A kubectl that goes on until it is stopped; its words come through a pipe."""
        return subprocess.Popen(
            [KUBECTL, "--kubeconfig", KUBECONFIG, *arguments], stdout=subprocess.PIPE
        )

    def apply(self, *objects: dict[str, Any]) -> None:
        """Applies objects, as a user with `kubectl apply` does."""
        self.run("apply", "-f", "-", manifest=list(objects))

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        """One object as it is now; an empty dict when it is not there."""
        found = self.run("-n", namespace, "get", kind, name, "-o", "json", "--ignore-not-found")
        loaded: dict[str, Any] = json.loads(found) if found.strip() else {}
        return loaded

    def names(self, kind: str, namespace: str) -> set[str]:
        """The names of all objects of a kind in a namespace."""
        return set(self.run("-n", namespace, "get", kind, "-o", "name").split())

    def in_broker(self, script: str, *arguments: str) -> str:
        """What one of Kafka's own scripts says in the demo's broker."""
        return self.run(
            *("-n", "platform", "exec", "kafka-0", "--", f"/opt/kafka/bin/{script}"),
            *("--bootstrap-server", "localhost:9092", *arguments),
        )

    def kafka_topics(self) -> set[str]:
        """The topics that the demo's broker holds."""
        return set(self.in_broker("kafka-topics.sh", "--list").split())

    def ask_postgres(self, database: str, query: str) -> list[str]:
        """The rows of a query of the superuser, who comes through the socket in the pod."""
        answer = self.run(
            *("-n", "platform", "exec", "postgres-0", "-c", "postgres", "--", "psql"),
            *("-h", "/var/run/postgresql", "-U", "postgres", "-d", database, "-Atc", query),
        )
        return answer.split()

    def condition(self, kind: str, name: str, namespace: str, condition: str) -> dict[str, Any]:
        """One condition of an object; an empty dict when it is not there."""
        status = self.get(kind, name, namespace).get("status", {})
        for each in status.get("conditions", []):
            if each["type"] == condition:
                found: dict[str, Any] = each
                return found
        return {}


class Site:
    """One host name behind the Ingress, reached at 127.0.0.1."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.address = f"http://127.0.0.1:{port}"

    def call(
        self, method: str, path: str, body: object = None, **options: Any
    ) -> requests.Response:
        """One request through the Ingress."""
        headers = {"Host": self.host, **options.pop("headers", {})}
        return requests.request(
            method, self.address + path, json=body, headers=headers, timeout=20, **options
        )


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    if not KUBECONFIG.exists():
        pytest.exit("no cluster: `make test-e2e` brings one up", 3)
    return Cluster()


@pytest.fixture(scope="session")
def http_port(cluster: Cluster) -> int:  # noqa: ARG001 — there is no port without a cluster
    port: int = json.loads((REPOSITORY / "build" / "cluster.json").read_text())["httpPort"]
    return port


@pytest.fixture(scope="session")
def shop(http_port: int) -> Site:
    return Site("shop.localhost", http_port)


@pytest.fixture(scope="session")
def mails(http_port: int) -> Site:
    return Site("mail.localhost", http_port)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own, gone afterwards."""
    name = f"e2e-{secrets.token_hex(3)}"
    cluster.run("create", "namespace", name)
    yield name
    cluster.run("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def shop_object() -> dict[str, Any]:
    """The EventPipeline of examples/shop.yaml."""
    documents = yaml.safe_load_all((REPOSITORY / "build" / "shop.yaml").read_text())
    found: dict[str, Any] = next(each for each in documents if each["kind"] == "EventPipeline")
    return found


@pytest.fixture
def stocked_product(shop: Site) -> str:
    """A product that nobody else orders, ten pieces of it."""
    product = f"e2e-{secrets.token_hex(4)}"
    answer = shop.call("POST", "/api/v1/stock/add", {"product": product, "quantity": 10})
    assert answer.status_code == 200, answer.text
    return product


@pytest.fixture(scope="session")
def vault_admin(cluster: Cluster) -> Iterator[VaultAdmin]:
    with administrate(cluster) as admin:
        yield admin


@pytest.fixture
def customers(shop: Site) -> Callable[[float], Traffic]:
    """Makes customers of a product of their own; so many orders per second when entered."""

    def make(rate: float) -> Traffic:
        return Traffic(shop.host, shop.address, f"e2e-{secrets.token_hex(4)}", rate)

    return make


@pytest.fixture
def settled_order(shop: Site) -> Any:
    """Places an order and waits until it is no longer PENDING; returns it."""

    def place(product: str, quantity: int) -> dict[str, Any]:
        answer = shop.call(
            "POST",
            "/api/v1/order",
            {"product": product, "quantity": quantity, "customerEmail": "ada@example.com"},
        )
        assert answer.status_code == 202, answer.text
        order_id = answer.json()["data"]["orderID"]

        def decided() -> dict[str, Any] | None:
            order: dict[str, Any] = shop.call("GET", f"/api/v1/order/{order_id}").json()["data"]
            return order if order["status"] != "PENDING" else None

        decided_order = wait_for(f"a decision on order {order_id}", decided, seconds=60)
        assert decided_order is not None
        return decided_order

    return place
