"""Nothing confidential in any log of the cluster, whatever has run in it before."""

import json
import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from servers.waiting import wait_for
from shop.confidential import find_confidential, values_of

Json = dict[str, Any]
OURS = re.compile(r"^(shop|eventpipeline-system|e2e-[0-9a-f]+)$")
CONFIDING = re.compile(r"^(shop|platform|eventpipeline-system|e2e-[0-9a-f]+)$")


def containers(cluster: Any) -> Iterator[tuple[str, str, str]]:
    """Namespace, pod and container of everything that runs or has run to its end."""
    for pod in json.loads(cluster.run("get", "pods", "-A", "-o", "json"))["items"]:
        meta, spec = pod["metadata"], pod["spec"]
        for container in (*spec.get("initContainers", ()), *spec["containers"]):
            yield meta["namespace"], meta["name"], container["name"]


def logs(cluster: Any, namespace: str, pod: str, container: str) -> Iterator[str]:
    """Lines of a container and of the one before it, where there was one."""
    for past in ("false", "true"):
        done = cluster.attempt("-n", namespace, "logs", pod, "-c", container, f"--previous={past}")
        yield from done.stdout.splitlines() if done.returncode == 0 else ()


def confided(cluster: Any) -> set[str]:
    """Values of all Secrets of the shop, the operator and the demo's servers."""
    found: set[str] = set()
    for secret in json.loads(cluster.run("get", "secrets", "-A", "-o", "json"))["items"]:
        if CONFIDING.match(secret["metadata"]["namespace"]):
            found |= values_of(secret)
    return found


@pytest.fixture
def talked_about(shop: Any, settled_order: Callable[[str, int], Json], stocked_product: str) -> str:
    """A customer's address that has gone every way: accepted, refused, malformed, mailed."""
    settled_order(stocked_product, 1)
    address = f"grace-{secrets.token_hex(4)}@example.com"
    order = {"product": stocked_product, "quantity": 1, "customerEmail": address}
    placed = shop.call("POST", "/api/v1/order", order)
    assert placed.status_code == 202, placed.text
    path = f"/api/v1/order/{placed.json()['data']['orderID']}"
    for bad in ({**order, "quantity": -1}, {**order, "customerEmail": f"{address} "}):
        assert shop.call("POST", "/api/v1/order", bad).status_code == 400
    shop.call("GET", f"/api/v1/order/{address}")
    wait_for("a decision", lambda: shop.call("GET", path).json()["data"]["status"] != "PENDING")
    return address


@pytest.mark.usefixtures("talked_about")
def test_no_log_of_any_pod_has_a_secret_a_token_or_a_mail_address(cluster: Any) -> None:
    values = confided(cluster)
    assert len(values) > 10, "no Secrets were read"
    found, seen = {}, set()
    for namespace, pod, container in containers(cluster):
        ours = bool(OURS.match(namespace))
        lines = list(logs(cluster, namespace, pod, container))
        seen |= {namespace} if lines else set()
        findings = find_confidential(lines, values, addresses=ours)
        if findings:
            found[f"{namespace}/{pod}/{container}"] = findings[:5]
    assert {"shop", "eventpipeline-system", "platform"} <= seen, "no logs were read"
    assert found == {}
