"""The operator's process killed at boundaries of its calls to real servers, and started again.

The walk over all boundaries, in seconds and over fakes, is tests/unit/operator/test_killed.py;
this one holds the same against reality: at some boundaries always, at all of them in the long run.
"""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from servers.kafka import KafkaServer
from servers.kubernetes import OPERATOR, OPERATOR_TOKEN, KubernetesServer
from servers.kubernetes_cluster import Cluster, build_shop
from servers.kubernetes_operator import OperatorProcess
from servers.mortal_operator import DIED
from servers.vault import VaultServer
from servers.vault_database import VaultDatabase
from servers.waiting import wait_for

pytestmark = pytest.mark.long  # each takes more than a minute

Json = dict[str, Any]
TESTS = Path(__file__).resolve().parents[3]


class Trial:
    """A shop with a lease, an operator that dies once, and one that lives."""

    def __init__(
        self, kubernetes: KubernetesServer, cluster: Cluster, database: VaultDatabase,
        directory: Path,
    ) -> None:  # fmt: skip
        self._kubernetes = kubernetes
        self._cluster = cluster
        self._database = database
        self._directory = directory
        self._start = len(self._audit())

    def run(self, manifest: Json, dies_at: int) -> bool:
        """Whether it died before everything was done."""
        mortal = self._operator(f"mortal-{dies_at}", "servers.mortal_operator")
        mortal.start(DIES_AT=str(dies_at))
        process = mortal._process
        assert process
        self._cluster.apply(manifest)
        try:
            self._settle(lambda: process.poll() is not None)
            died = process.poll() == DIED
            assert died or process.poll() is None, mortal.log[-2000:]
        finally:
            mortal.stop(kill=True)
        survivor = self._operator(f"mortal-{dies_at}", "eventpipeline_operator")
        survivor.start()
        try:
            self._settle(lambda: False)
            wait_for("its sweep", lambda: self._lives() == 1, seconds=60)
        finally:
            survivor.stop()
        return died

    def check(self) -> None:
        """Nothing was made twice, nothing was left."""
        made = Counter(
            (e["objectRef"]["resource"], e["objectRef"].get("name", ""))
            for e in self._audit()[self._start:]
            if e["responseStatus"].get("code") == 201 and e["verb"] == "patch"
        )  # fmt: skip
        twice = {what: count for what, count in made.items() if count > 1}
        assert twice == {}
        owner = self._cluster.get("eventpipeline", "shop")["metadata"]["uid"]
        for kind in ("deployments", "services", "jobs", "configmaps", "secrets"):
            for name in self._cluster.names(kind):
                live = self._cluster.get(kind, name)["metadata"]
                if name.startswith("shop-"):
                    assert live["ownerReferences"][0]["uid"] == owner

    def _operator(self, name: str, module: str) -> OperatorProcess:
        directory = self._directory / self._cluster.namespace
        directory.mkdir(exist_ok=True)
        return OperatorProcess(self._kubernetes, directory, name, OPERATOR_TOKEN, module)

    def _settle(self, broken_off: Callable[[], bool]) -> None:
        def settled() -> bool:
            if broken_off():
                return True
            self._cluster.finish_jobs()
            self._cluster.finish_rollouts()
            return self._cluster.condition("Ready").get("status") == "True"

        wait_for("the shop to be Ready", settled, seconds=240, interval=0.2)

    def _lives(self) -> int:
        return len(self._database.leases(self._cluster.namespace))

    def _audit(self) -> list[Json]:
        lines = self._kubernetes.audit_log.read_text().splitlines()
        events = [json.loads(line) for line in lines]
        return [
            e for e in events
            if e["user"]["username"] == OPERATOR
            and e.get("objectRef", {}).get("namespace") == self._cluster.namespace
        ]  # fmt: skip


@pytest.fixture(autouse=True)
def alone(operator: OperatorProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    operator.stop()
    yield
    monkeypatch.undo()
    operator.start()
    operator.wait_until_leading()


@pytest.fixture
def die_once(
    kubernetes: KubernetesServer, kafka: KafkaServer, vault: VaultServer, database: VaultDatabase,
    tmp_path: Path,
) -> Callable[[int], bool]:  # fmt: skip
    """A trial in a namespace of its own; whether the operator died in it."""

    def die(moment: int) -> bool:
        namespace = f"killed-{token_hex(4)}"
        kubernetes.kubectl("create", "namespace", namespace)
        cluster = Cluster(kubernetes, namespace)
        cluster.run("create", "serviceaccount", "shop-vault")
        database.allow(namespace, namespace, "shop-vault", "10m")
        manifest = build_shop(namespace, kafka, vault)
        secret = manifest["spec"]["secrets"][0]
        secret["vault"] = {"dynamic": {"path": database.path(namespace)}}
        secret["env"] = {"DATABASE_URL": "postgresql://{username}:{password|urlencode}@db/orders"}
        trial = Trial(kubernetes, cluster, database, tmp_path)
        died = trial.run(manifest, moment)
        trial.check()
        cluster.run("delete", "eventpipeline", "shop")
        return died

    return die


@pytest.mark.parametrize("moment", [6, 18])
def test_killed_at_some_boundaries(die_once: Callable[[int], bool], moment: int) -> None:
    assert die_once(moment)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_at_every_boundary(die_once: Callable[[int], bool]) -> None:
    moments = itertools.takewhile(die_once, itertools.count(1))
    assert sum(1 for _ in moments) > 20
