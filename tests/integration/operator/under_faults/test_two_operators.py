"""Two operators at once: one leads; one that was frozen past its Lease writes nothing more."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servers.kubernetes import KubernetesServer
from servers.kubernetes_cluster import Cluster
from servers.kubernetes_operator import OperatorProcess
from servers.kubernetes_proxy import KubernetesProxy, redirect
from servers.waiting import wait_for

pytestmark = pytest.mark.long  # each takes more than a minute

Json = dict[str, Any]


class Replica:
    """An operator with a proxy of its own, which sees what it asks for."""

    def __init__(self, server: KubernetesServer, directory: Path, name: str) -> None:
        self.proxy = KubernetesProxy(server)
        self.proxy.start()
        self.process = OperatorProcess(server, directory, name)
        redirect(self.process._kubeconfig, self.proxy.url)

    @property
    def leads(self) -> bool:
        return self.process.metric("leader") == 1.0

    @property
    def ended(self) -> bool:
        running = self.process._process
        return running is not None and running.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        assert self.process._process
        os.kill(self.process._process.pid, number)

    def writes(self) -> Counter[str]:
        """Everything but reads and the Lease."""
        asked = self.proxy.asked.items()
        return Counter({
            f"{method} {kind}": count
            for (method, _, kind), count in asked
            if method != "GET" and kind != "leases"
        })  # fmt: skip

    def end(self) -> None:
        self.process.stop(kill=True)
        self.proxy.stop()


@pytest.fixture
def replicas(
    without_operator: None, kubernetes: KubernetesServer, tmp_path: Path
) -> Iterator[tuple[Replica, Replica]]:
    """Leader and standby; who of the two came first is not foreseen."""
    del without_operator  # these two stand in for it
    pair = [Replica(kubernetes, tmp_path, name) for name in ("one", "two")]
    try:
        for replica in pair:
            replica.process.start()
        wait_for("both", lambda: all(r.process.metric("leader") is not None for r in pair),
                 seconds=120)  # fmt: skip
        wait_for("a leader", lambda: any(replica.leads for replica in pair))
        leader = next(replica for replica in pair if replica.leads)
        yield leader, next(replica for replica in pair if replica is not leader)
    finally:
        for replica in pair:
            replica.end()


def test_a_frozen_leader_that_wakes_up_writes_nothing_more(
    replicas: tuple[Replica, Replica], ready_shop: Json, cluster: Cluster
) -> None:
    leader, standby = replicas
    assert not standby.leads
    assert not standby.writes()
    leader.signal(signal.SIGSTOP)
    wait_for("the standby to lead", lambda: standby.leads, seconds=20)
    ready_shop["spec"]["config"] = {"CHANGED": "yes"}
    ready_shop["spec"]["services"][0]["replicas"] = 3
    ready_shop["spec"]["topics"][0]["partitions"] = 4
    cluster.apply(ready_shop)
    wait_for("the migration of the changed", lambda: len(cluster.names("jobs")) >= 1)

    def seen() -> bool:
        cluster.finish_jobs()
        cluster.finish_rollouts()
        live = cluster.get("eventpipeline", "shop")
        ready = cluster.condition("Ready").get("status") == "True"
        return bool(ready and live["status"]["observedGeneration"] == 2)

    wait_for("the second generation", seen)
    versions, writes = cluster.versions(), leader.writes()
    leader.signal(signal.SIGCONT)
    wait_for("the former leader to end", lambda: leader.ended)
    assert leader.writes() == writes
    assert standby.leads
    passes = standby.process.metric("reconcile_duration_seconds_count") or 0
    wait_for(
        "a resync",
        lambda: (standby.process.metric("reconcile_duration_seconds_count") or 0) > passes,
    )
    assert cluster.versions() == versions
