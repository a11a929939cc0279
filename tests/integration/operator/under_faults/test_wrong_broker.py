"""One pipeline whose broker never answers, among ninety-nine others."""

import asyncio
import json
import secrets
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eventpipeline_operator.adapters.kube.client import KubeClient
from eventpipeline_operator.adapters.kube.resources import PIPELINE
from servers.kafka import KafkaServer
from servers.kubernetes import KubernetesServer
from servers.kubernetes_operator import OperatorProcess
from servers.waiting import wait_for

Json = dict[str, Any]
OTHERS = 99
PAIRS = 5
RATIO = 1.3


@pytest.fixture
def silent_broker() -> Iterator[str]:
    """Something that takes connections and says nothing, as a wrong address may lead to."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def build_manifest(namespace: str, name: str, broker: str) -> Json:
    return {
        "apiVersion": PIPELINE.api_version,
        "kind": PIPELINE.name,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"kafka": {"bootstrapServers": broker}, "topics": [{"name": "orders"}]},
    }


def is_ready(live: Json) -> bool:
    conditions = live.get("status", {}).get("conditions", [])
    return any((c["type"], c["status"]) == ("Ready", "True") for c in conditions)


async def watch_ready(client: KubeClient, namespace: str) -> dict[str, float]:
    """When each of the others was first seen Ready."""
    seen: dict[str, float] = {}
    async for event in client.watch(PIPELINE.path(namespace), [("resourceVersion", "0")]):
        if is_ready(event["object"]):
            seen.setdefault(event["object"]["metadata"]["name"], time.monotonic())
        if len(seen) == OTHERS:
            break
    return seen


class Round:
    """Objects that are applied and become Ready, with or without the broken one among them."""

    def __init__(self, server: KubernetesServer, client: KubeClient, broker: str) -> None:
        self._server = server
        self._client = client
        self._broker = broker
        self._namespace = f"round-{secrets.token_hex(4)}"

    async def run(self, silent: str | None) -> float:
        """The median time from apply to Ready of the others."""
        done = self._server.kubectl("create", "namespace", self._namespace)
        assert done.returncode == 0, done.stderr
        watch = asyncio.create_task(watch_ready(self._client, self._namespace))
        try:
            if silent:
                await self._client.apply(build_manifest(self._namespace, "broken", silent))
                await asyncio.to_thread(self._wait_until_broken)
            began = {}
            for name in (f"p{number}" for number in range(OTHERS)):
                began[name] = time.monotonic()
                await self._client.apply(build_manifest(self._namespace, name, self._broker))
            seen = await asyncio.wait_for(watch, 120)
        finally:
            watch.cancel()
            self._server.kubectl("-n", self._namespace, "delete", "eventpipelines", "--all")
        return statistics.median(seen[name] - moment for name, moment in began.items())

    def _wait_until_broken(self) -> None:
        def told() -> bool:
            found = self._server.kubectl(
                "-n", self._namespace, "get", "eventpipeline", "broken", "-o", "json"
            )
            status = json.loads(found.stdout).get("status", {})
            reasons = {c["reason"] for c in status.get("conditions", [])}
            return "KafkaUnavailable" in reasons

        wait_for("the broken one to be told so", told)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_one_broken_pipeline_does_not_slow_the_others(
    kubernetes: KubernetesServer, client: KubeClient, kafka: KafkaServer,
    operator: OperatorProcess, silent_broker: str, record_property: Callable[[str, object], None],
) -> None:  # fmt: skip
    assert operator
    without, with_one = [], []
    await Round(kubernetes, client, kafka.bootstrap_servers).run(None)  # warms everything up
    for _ in range(PAIRS):
        without.append(await Round(kubernetes, client, kafka.bootstrap_servers).run(None))
        with_one.append(await Round(kubernetes, client, kafka.bootstrap_servers).run(silent_broker))
    ratio = statistics.median(with_one) / statistics.median(without)
    record_property("ratio", ratio)
    assert ratio <= RATIO, f"medians without it {without}, with it {with_one}"
