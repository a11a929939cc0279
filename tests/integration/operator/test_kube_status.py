"""Statuses and events on a real API server, with no operator beside it."""

import json

import pytest

from eventpipeline_operator.adapters.kube.client import KubeClient
from eventpipeline_operator.adapters.kube.resources import PIPELINE, Ref
from eventpipeline_operator.adapters.kube.status import KubeStatus
from eventpipeline_operator.api.conditions import Condition, ConditionType, Status
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline, Key
from servers.kubernetes import KubernetesServer

pytestmark = pytest.mark.usefixtures("without_operator")

WARNING = Condition(ConditionType.TOPICS, Status.FALSE, Reason.KAFKA_UNAVAILABLE, "away")
STATUS = {"observedGeneration": 1, "url": "http://shop.localhost"}


@pytest.fixture
async def pipeline(
    kubernetes: KubernetesServer, client: KubeClient, namespace: str
) -> EventPipeline:
    manifest = {
        "apiVersion": "eventpipeline.dev/v1alpha1",
        "kind": "EventPipeline",
        "metadata": {"name": "shop", "namespace": namespace},
        "spec": {"kafka": {"bootstrapServers": "kafka:9092"}},
    }
    kubernetes.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    live = await client.get(Ref(PIPELINE.name, namespace, "shop"))
    assert live
    return EventPipeline(Key(namespace, "shop"), live["metadata"]["uid"], generation=1)


async def test_a_status_replaces_the_one_before(
    client: KubeClient, pipeline: EventPipeline
) -> None:
    status = KubeStatus(client, "test")
    await status.write_status(pipeline, STATUS)
    await status.write_status(pipeline, {"observedGeneration": 2})
    live = await client.get(Ref(PIPELINE.name, *pipeline.key))
    assert live
    assert live["status"] == {"observedGeneration": 2}


async def test_an_object_that_was_replaced_keeps_its_own_status(
    client: KubeClient, pipeline: EventPipeline
) -> None:
    former = EventPipeline(pipeline.key, "another-uid", generation=1)
    await KubeStatus(client, "test").write_status(former, STATUS)
    live = await client.get(Ref(PIPELINE.name, *pipeline.key))
    assert live
    assert "status" not in live


async def test_an_object_that_is_gone_needs_no_status(
    client: KubeClient, pipeline: EventPipeline
) -> None:
    gone = EventPipeline(Key(pipeline.key.namespace, "gone"), "uid", generation=1)
    await KubeStatus(client, "test").write_status(gone, STATUS)


async def test_an_event_tells_of_the_object(
    client: KubeClient, kubernetes: KubernetesServer, pipeline: EventPipeline
) -> None:
    await KubeStatus(client, "test").emit_event(pipeline, WARNING)
    found = kubernetes.kubectl("-n", pipeline.key.namespace, "events", "--for", "evp/shop").stdout
    for word in ("Warning", "KafkaUnavailable", "TopicsReady: away"):
        assert word in found
