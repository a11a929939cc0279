"""Pods that are told to go while customers order: nobody notices."""

from collections.abc import Callable
from typing import Any

import pytest

from e2e.outcome import (
    assert_each_order_was_handled_once,
    assert_each_order_was_mailed_once,
    wait_until_settled,
)
from e2e.traffic import Traffic
from servers.waiting import wait_for

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

RATE = 40
WORKERS = ("order-relay", "order-consumer", "stock-relay", "stock-consumer", "email-consumer",
           "email-sender")  # fmt: skip


def pods_of(cluster: Any, workload: str) -> list[str]:
    selector = f"eventpipeline.dev/workload={workload}"
    listed = cluster.run("-n", "shop", "get", "pods", "-l", selector, "-o", "name")
    return [name.removeprefix("pod/") for name in listed.split()]


def restart_everything(cluster: Any) -> None:
    """A rollout of all of the shop, as `kubectl rollout restart` makes it."""
    cluster.run("-n", "shop", "rollout", "restart", "deployment")
    for deployment in sorted(cluster.names("deployments", "shop")):
        cluster.run("-n", "shop", "rollout", "status", deployment, "--timeout=240s")


def delete_pods(cluster: Any) -> None:
    """Each worker, and one order API after the other, leaves as when its node is drained."""
    cluster.run("-n", "shop", "delete", "pod", *(p for w in WORKERS for p in pods_of(cluster, w)))
    for pod in pods_of(cluster, "order"):
        cluster.run("-n", "shop", "delete", "pod", pod)
        cluster.run("-n", "shop", "rollout", "status", "deployment/shop-order", "--timeout=240s")


@pytest.mark.parametrize("disturb", [restart_everything, delete_pods])
def test_no_request_is_dropped_and_no_order_is_handled_twice_while_pods_go(
    cluster: Any,
    shop: Any,
    mails: Any,
    customers: Callable[[float], Traffic],
    disturb: Callable[[Any], None],
) -> None:
    traffic = customers(RATE)
    with traffic:
        wait_for("customers who order", lambda: len(traffic.orders) > RATE)
        disturb(cluster)
        after = len(traffic.orders)
        wait_for("customers who go on", lambda: len(traffic.orders) > after + RATE)
    assert traffic.failures == []
    wait_until_settled(traffic, shop)
    assert_each_order_was_handled_once(traffic, shop)
    assert_each_order_was_mailed_once(traffic, mails)
