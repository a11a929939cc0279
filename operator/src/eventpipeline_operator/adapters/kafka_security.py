"""Who the operator is towards a Kafka: the installer's identity, else the pipeline's own client.

Gives librdkafka's settings for an access. Secrets are read as they are needed, remembered for a
minute so that a resync of many pipelines asks once, and never written anywhere.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from eventpipeline_operator.api.parsing import parse_client
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import KafkaAccess, KafkaClient
from eventpipeline_operator.errors import Stalled

SecretSource = Callable[[str, str], Awaitable[Mapping[str, str]]]
Settings = Mapping[str, str]

ANY_NAMESPACE = "*"
REMEMBERED_SECONDS = 60.0


@dataclass(frozen=True)
class AdminIdentity:
    """The installer's client for one cluster, and the pipelines' namespaces that it serves."""

    client: KafkaClient | None
    namespaces: tuple[str, ...]

    def serves(self, namespace: str) -> bool:
        """Whether topics of a namespace may be made under this identity."""
        return ANY_NAMESPACE in self.namespaces or namespace in self.namespaces


def parse_admins(raw: Mapping[str, Any]) -> dict[str, AdminIdentity]:
    """The installer's mapping: bootstrap servers to identity."""
    return {
        servers: AdminIdentity(parse_client(given), tuple(given["namespaces"]))
        for servers, given in raw.items()
    }


class KafkaSecurity:
    """Resolves accesses to settings."""

    def __init__(
        self,
        secrets: SecretSource,
        namespace: str,
        admins: Mapping[str, AdminIdentity],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secrets = secrets
        self._namespace = namespace
        self._admins = admins
        self._clock = clock
        self._remembered: dict[tuple[str, str], tuple[float, Mapping[str, str]]] = {}

    async def settings(self, access: KafkaAccess) -> Settings:
        """Settings for a client; Stalled when a Secret or a key of it is not there."""
        namespace, client, field = access.namespace, access.client, "spec.kafka.client"
        admin = self._admins.get(access.servers)
        if admin and admin.serves(access.namespace):
            namespace, client = self._namespace, admin.client
            field = f"the installer's kafkaAdmins[{access.servers}]"
        if client is None:
            return {}
        found = {"security.protocol": client.protocol}
        if client.ca_secret:
            authority = await self._key(namespace, client.ca_secret, "ca.crt", f"{field}.tls")
            found["ssl.ca.pem"] = authority
        if client.mechanism and client.sasl_secret:
            found["sasl.mechanism"] = client.mechanism.value
            for key in ("username", "password"):
                value = await self._key(namespace, client.sasl_secret, key, f"{field}.sasl")
                found[f"sasl.{key}"] = value
        return found

    def forget(self) -> None:
        """A broker refused somebody: the next pass reads the Secrets anew."""
        self._remembered.clear()

    async def _key(self, namespace: str, name: str, key: str, field: str) -> str:
        value = (await self._contents(namespace, name)).get(key)
        if not value:
            self._remembered.pop((namespace, name), None)
            raise Stalled(
                Reason.KAFKA_SECRET_MISSING,
                f"{field}: Secret {name} with a key {key} is not there in namespace {namespace}: "
                "create it",
            )
        return value

    async def _contents(self, namespace: str, name: str) -> Mapping[str, str]:
        now = self._clock()
        read, contents = self._remembered.get((namespace, name), (float("-inf"), {}))
        if now - read >= REMEMBERED_SECONDS:
            contents = await self._secrets(namespace, name)
            self._remembered = {
                k: kept
                for k, kept in self._remembered.items()
                if now - kept[0] < REMEMBERED_SECONDS
            }
            self._remembered[namespace, name] = (now, contents)
        return contents
