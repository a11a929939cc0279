"""`kubectl describe` of an object that cannot become Ready tells the cause and the way out.

All objects of the table lie in one namespace and are broken at the same time.
"""

import secrets
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined] # stubs re-export nothing
    AdminClient,
    NewTopic,
)

from integration.operator.broken_states import ACCOUNT, ALL, Broken, Place
from servers.kafka import KafkaServer
from servers.kubernetes import KubernetesServer
from servers.kubernetes_cluster import Cluster
from servers.kubernetes_operator import OperatorProcess
from servers.kubernetes_pipelines import Pipelines
from servers.vault import VaultServer
from servers.waiting import wait_for

Json = dict[str, Any]


@pytest.fixture(scope="module")
def pipelines(kubernetes: KubernetesServer, operator: OperatorProcess) -> Iterator[Pipelines]:
    """Those of a namespace of the module's own."""
    assert operator
    namespace = f"broken-{secrets.token_hex(4)}"
    kubernetes.kubectl("create", "namespace", namespace)
    yield Pipelines(kubernetes, namespace)
    kubernetes.kubectl("-n", namespace, "delete", "eventpipelines", "--all")


@pytest.fixture(scope="module")
def place(
    kubernetes: KubernetesServer, pipelines: Pipelines, kafka: KafkaServer, vault: VaultServer
) -> Place:
    """What those objects find there: an older one, topics, a Deployment, a secret."""
    namespace = pipelines.namespace
    place = Place(Cluster(kubernetes, namespace), kafka.bootstrap_servers, vault.address)
    pipelines.apply({"older": place.whole(place.topic())})
    began = time.time()
    place.cluster.run("create", "serviceaccount", ACCOUNT)
    place.cluster.run("create", "deployment", "foreign-page", "--image=theirs:1")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    wanted = [
        NewTopic(f"{namespace}.{name}.orders", num_partitions=3) for name in ("shrunk", "copies")
    ]
    for made in admin.create_topics(wanted).values():
        made.result(timeout=10)
    vault.write(f"{namespace}/db", USER="ada")
    vault.allow(namespace, namespace, ACCOUNT, f"{namespace}/*")
    wait_for("ages to differ, which have whole seconds", lambda: time.time() > began + 1)
    return place


@pytest.fixture(scope="module")
def cluster(place: Place, pipelines: Pipelines) -> Cluster:
    """All of them, applied and struck."""
    pipelines.apply({each.name: place.whole(each.spec(place)) for each in ALL})
    for each in ALL:
        if each.befall:
            wait_for(f"{each.name} to be under way", partial(strike, place.cluster, each))
    return place.cluster


def strike(cluster: Cluster, broken: Broken) -> bool:
    """Let it befall the object, as soon as there is something to strike."""
    assert broken.befall
    broken.befall(cluster)
    return True


@pytest.mark.parametrize("broken", ALL, ids=lambda broken: broken.name)
def test_describe_tells_cause_and_way_out(broken: Broken, cluster: Cluster) -> None:
    def ready() -> Json:
        status = cluster.get("eventpipeline", broken.name).get("status", {})
        found: Json = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), {})
        return found

    wait_for(broken.reason, lambda: ready().get("reason") == broken.reason)
    message = ready()["message"]
    assert broken.named.format(ns=cluster.namespace) in message
    assert broken.way_out in message
    described = cluster.run("describe", "eventpipeline", broken.name)
    assert message in described
    assert f"Reason:                {broken.reason}" in described
