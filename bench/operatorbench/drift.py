"""Changes things behind the operator's back, and says when it has put them right.

That every object is verified after a restart shows best where something is wrong: a topic's
configuration, a secret's value, a Deployment's image.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka.admin import (  # type: ignore[attr-defined] # stubs re-export nothing
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from operatorbench.cluster import Cluster, Name
from operatorbench.installation import Installation
from operatorbench.objects import IMAGE, kv_path

JSON_PATCH = "application/json-patch+json"
IMAGE_PATH = "/spec/template/spec/containers/0/image"
KEY, WRONG = "retention.ms", "7777"


@dataclass(frozen=True)
class Drift:
    """What was changed."""

    cluster: Cluster
    admin: AdminClient
    names: Sequence[Name]

    async def repaired(self) -> bool:
        """Whether everything is as declared again."""
        if not all(self._has_new_secret(name) for name in self.names):
            return False
        images = await asyncio.gather(*(_image(self.cluster, name) for name in self.names))
        if any(image != IMAGE for image in images):
            return False
        return WRONG not in await asyncio.to_thread(self._retentions)

    def _has_new_secret(self, name: Name) -> bool:
        status = self.cluster.statuses.get(name, {})
        return [secret["version"] for secret in status.get("secrets", ())] == ["2"]

    def _retentions(self) -> set[str]:
        resources = [ConfigResource(ResourceType.TOPIC, _topic(name)) for name in self.names]
        found = self.admin.describe_configs(resources)
        return {future.result(10)[KEY].value for future in found.values()}


async def cause_drift(at: Installation, cluster: Cluster, names: Sequence[Name]) -> Drift:
    """Change a topic, a secret and a Deployment of each object."""
    admin = AdminClient({"bootstrap.servers": at.kafka.bootstrap_servers, "log_level": 0})
    await asyncio.to_thread(_change_topics, admin, names)
    for name in names:
        await asyncio.to_thread(at.vault.write, kv_path(*name), user="eve", password="")
        patch = [{"op": "replace", "path": IMAGE_PATH, "value": "registry.invalid/changed:2"}]
        await cluster.request("PATCH", _deployment(name), patch, JSON_PATCH)
    return Drift(cluster, admin, names)


def _change_topics(admin: AdminClient, names: Sequence[Name]) -> None:
    entry = ConfigEntry(KEY, WRONG, incremental_operation=AlterConfigOpType.SET)
    resources = [
        ConfigResource(ResourceType.TOPIC, _topic(name), incremental_configs=[entry])
        for name in names
    ]
    for future in admin.incremental_alter_configs(resources).values():
        future.result(10)


async def _image(cluster: Cluster, name: Name) -> str:
    live = await cluster.request("GET", _deployment(name))
    image: str = live["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def _topic(name: Name) -> str:
    return f"{name[0]}.{name[1]}.events"


def _deployment(name: Name) -> str:
    return f"/apis/apps/v1/namespaces/{name[0]}/deployments/{name[1]}-api"
