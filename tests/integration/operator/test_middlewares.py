"""Traefik's Middlewares on a real API server, before and after it knows the kind."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from eventpipeline_operator.adapters.kube.cache import Cache
from eventpipeline_operator.adapters.kube.client import KubeClient
from eventpipeline_operator.adapters.kube.resources import MIDDLEWARE
from eventpipeline_operator.adapters.kube.runtime import KubeRuntime
from eventpipeline_operator.adapters.kube.watch import Watcher
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline, Key, RateLimit
from eventpipeline_operator.desired.records import RouteRecord
from eventpipeline_operator.errors import Stalled
from servers.kubernetes import KubernetesServer
from servers.kubernetes_cluster import Cluster

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "middlewares.traefik.io"},
    "spec": {
        "group": "traefik.io",
        "scope": "Namespaced",
        "names": {"kind": "Middleware", "plural": "middlewares"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}
ROUTE = RouteRecord(
    "shop.localhost", (("/api", "order", 8080),), "traefik",
    rate_limit=RateLimit(10, 20), retries=2,
)  # fmt: skip


@pytest.fixture
def traefik(kubernetes: KubernetesServer) -> Iterator[None]:
    done = kubernetes.kubectl("apply", "-f", "-", stdin=[CRD])
    assert done.returncode == 0, done.stderr
    kubernetes.kubectl("wait", "--for=condition=Established", "crd/middlewares.traefik.io")
    yield
    kubernetes.kubectl("delete", "crd", "middlewares.traefik.io", "--wait=true")


@pytest.fixture
def pipeline(cluster: Cluster) -> EventPipeline:
    return EventPipeline(Key(cluster.namespace, "shop"), "uid-of-the-test", 1)


def versions(cluster: Cluster) -> dict[str, str]:
    items = json.loads(cluster.run("get", "middlewares,ingresses", "-o", "json"))["items"]
    return {i["metadata"]["name"]: i["metadata"]["resourceVersion"] for i in items}


async def test_without_the_kind_a_person_is_told_and_the_watches_are_complete(
    client: KubeClient, pipeline: EventPipeline
) -> None:
    cache = Cache(lambda _: None)
    watcher = Watcher(client, cache, (pipeline.key.namespace,), (MIDDLEWARE,))
    watching = asyncio.create_task(watcher.run())
    async with asyncio.timeout(30):
        await watcher.synced.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    with pytest.raises(Stalled, match="install Traefik's CRDs") as caught:
        await KubeRuntime(client, cache).apply(pipeline, [ROUTE])
    assert caught.value.reason == Reason.ROUTE_NOT_SUPPORTED


@pytest.mark.usefixtures("traefik")
async def test_middlewares_are_written_once_and_pruned_when_no_longer_asked_for(
    client: KubeClient, cluster: Cluster, pipeline: EventPipeline
) -> None:
    runtime = KubeRuntime(client, Cache(lambda _: None))
    await runtime.apply(pipeline, [ROUTE])
    before = versions(cluster)
    assert set(before) == {"shop", "shop-rate-limit", "shop-retries"}
    await runtime.apply(pipeline, [ROUTE])
    await KubeRuntime(client, Cache(lambda _: None)).apply(pipeline, [ROUTE])
    assert versions(cluster) == before
    plain = replace(ROUTE, retries=0)
    await runtime.apply(pipeline, [plain])
    await runtime.prune(pipeline, [plain])
    assert set(versions(cluster)) == {"shop", "shop-rate-limit"}
