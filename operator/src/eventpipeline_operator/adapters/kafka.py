"""The Kafka port on confluent-kafka's AdminClient.

One AdminClient per cluster and identity, the least recently used closed beyond a limit. Its calls
return futures at once and are awaited without a thread; what several pipelines ask for at the same
moment becomes one call (batching.py), and a topic that fails fails only those who asked for it.
"""

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined] # stubs re-export nothing
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from eventpipeline_operator.adapters.batching import Batcher
from eventpipeline_operator.adapters.kafka_answers import (
    AWAY,
    DENIED,
    EXPECTED,
    Answer,
    classified,
    explicit_config,
    located,
    observed_topic,
    settle,
    settle_one,
)
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity, Settings
from eventpipeline_operator.api.observed import ObservedTopic
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import KafkaAccess
from eventpipeline_operator.desired.records import TopicRecord
from eventpipeline_operator.desired.topic_plan import ConfigChange
from eventpipeline_operator.errors import ReconcileError, Retryable, Stalled

log = structlog.get_logger()

READ_SECONDS = 8.0
WRITE_SECONDS = 30.0
VISIBLE_SECONDS, VISIBLE_FIRST, VISIBLE_LONGEST = 5.0, 0.05, 0.4
GATHER_SECONDS = 0.05  # for topics: the next call's are shown only when this one's logs are there
CONFIGS_A_CALL = 200  # an answer lists every key of every topic: 1,000 at once cost 30 MB
CLUSTERS = 32

T = TypeVar("T")
W = TypeVar("W")


class Cluster:
    """One cluster's client, its calls batched over all pipelines."""

    def __init__(
        self, servers: str, security: Settings, may_write: Callable[[], None] = lambda: None
    ) -> None:
        self._may_write = may_write
        self._refusal: KafkaError | None = None
        self.admin = AdminClient(
            {
                **security,
                "bootstrap.servers": servers,
                "client.id": "eventpipeline-operator",
                "socket.timeout.ms": 10000,
                "log_level": 0,
                "error_cb": self._heard,  # type: ignore[dict-item] # the stubs know no callbacks
            }
        )
        self.topics = Batcher(self._describe_topics)
        self.configs = Batcher(self._describe_configs, limit=CONFIGS_A_CALL)
        self.creations = Batcher(self._create, gather=GATHER_SECONDS)
        self.growths = Batcher(self._grow)
        self.changes = Batcher(self._configure)

    def refusal(self) -> KafkaError | None:
        """Why no broker lets this client in; a call only says that it took too long."""
        self.admin.poll(0)
        refusal, self._refusal = self._refusal, None
        return refusal

    def _heard(self, error: KafkaError) -> None:
        if error.code() in DENIED:
            self._refusal = error

    async def brokers(self) -> list[int]:
        """The ids of all brokers."""
        call = self.admin.describe_cluster(request_timeout=READ_SECONDS)
        answer = await settle_one("describe_cluster", call)
        if isinstance(answer, KafkaError):
            raise classified(answer, "")
        return sorted(node.id for node in answer.nodes)

    async def _describe_topics(self, names: Mapping[str, None]) -> dict[str, Answer]:
        futures = self.admin.describe_topics(
            TopicCollection(list(names)), request_timeout=READ_SECONDS
        )
        answers = await settle("describe_topics", futures)
        return {name: observed_topic(name, answer) for name, answer in answers.items()}

    async def _describe_configs(self, names: Mapping[str, None]) -> dict[str, Answer]:
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self.admin.describe_configs(resources, request_timeout=READ_SECONDS)
        answers = await settle("describe_configs", _by_name(futures))
        return {name: explicit_config(answer) for name, answer in answers.items()}

    async def _create(self, records: Mapping[str, TopicRecord]) -> dict[str, Answer]:
        wanted = [
            NewTopic(
                name,
                num_partitions=record.partitions,
                replication_factor=record.replication_factor or -1,
                config=dict(record.config),
            )
            for name, record in records.items()
        ]
        self._may_write()
        futures = self.admin.create_topics(wanted, request_timeout=WRITE_SECONDS)
        answers = await settle("create_topics", futures)
        there = (None, KafkaError.TOPIC_ALREADY_EXISTS)
        await self._wait_until_shown({n for n, a in answers.items() if _code(a) in there})
        return answers

    async def _wait_until_shown(self, names: set[str]) -> None:
        """Wait until the cluster shows topics, which belongs to the call that created them.

        A broker shows new topics before it lays out their logs, some milliseconds each, and shows
        those of the next call only after that: a call that waits for them is better spent
        collecting what else is to be created.
        """
        deadline, pause = time.monotonic() + VISIBLE_SECONDS, VISIBLE_FIRST
        while names and time.monotonic() < deadline:
            shown = await self.topics.ask(dict.fromkeys(names))
            unknown = (
                KafkaError.UNKNOWN_TOPIC_OR_PART
            )  # any other failure is the next look's to tell
            names = {name for name in names if _code(shown.get(name)) == unknown}
            if names:
                await asyncio.sleep(pause)
                pause = min(pause * 2, VISIBLE_LONGEST)

    async def _grow(self, totals: Mapping[str, int]) -> dict[str, Answer]:
        wanted = [NewPartitions(name, total) for name, total in totals.items()]
        self._may_write()
        futures = self.admin.create_partitions(wanted, request_timeout=WRITE_SECONDS)
        return await settle("create_partitions", futures)

    async def _configure(self, changes: Mapping[str, ConfigChange]) -> dict[str, Answer]:
        resources = [_alteration(name, change) for name, change in changes.items()]
        self._may_write()
        futures = self.admin.incremental_alter_configs(resources, request_timeout=WRITE_SECONDS)
        return await settle("alter_configs", _by_name(futures))


class KafkaAdmin:
    """Administration of all clusters that pipelines name."""

    def __init__(
        self, security: KafkaSecurity, may_write: Callable[[], None] = lambda: None
    ) -> None:
        self._may_write = may_write
        self._security = security
        self._clusters: OrderedDict[tuple[str, bytes], Cluster] = OrderedDict()

    async def describe(
        self, access: KafkaAccess, names: Collection[str], configured: Collection[str]
    ) -> Mapping[str, ObservedTopic]:
        """Describe topics, with the explicit config of those in `configured`."""
        cluster = await self.cluster(access)
        found = await self._read(access, cluster, cluster.topics, names)
        existing = [name for name in configured if name in found]
        configs = await self._read(access, cluster, cluster.configs, existing)
        return found | {name: replace(found[name], config=c) for name, c in configs.items()}

    async def brokers(self, access: KafkaAccess) -> Sequence[int]:
        """The ids of all brokers."""
        cluster = await self.cluster(access)
        return await self.reached(access, cluster, cluster.brokers())

    async def create(self, access: KafkaAccess, topics: Sequence[TopicRecord]) -> Mapping[str, str]:
        """Create topics and wait until the cluster shows them."""
        cluster = await self.cluster(access)
        wanted = {topic.name: topic for topic in topics}
        return await self._change(access, cluster, cluster.creations, wanted)

    async def grow(self, access: KafkaAccess, totals: Mapping[str, int]) -> Mapping[str, str]:
        """Add partitions."""
        cluster = await self.cluster(access)
        return await self._change(access, cluster, cluster.growths, totals)

    async def configure(
        self, access: KafkaAccess, changes: Mapping[str, ConfigChange]
    ) -> Mapping[str, str]:
        """Set keys and take keys back."""
        cluster = await self.cluster(access)
        return await self._change(access, cluster, cluster.changes, changes)

    async def _read(
        self,
        access: KafkaAccess,
        cluster: Cluster,
        batcher: Batcher[None, Answer],
        names: Iterable[str],
    ) -> dict[str, Any]:
        async def read() -> dict[str, Any]:
            found = {}
            for name, answer in (await batcher.ask(dict.fromkeys(names))).items():
                if not isinstance(answer, KafkaError):
                    found[name] = answer
                elif answer.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise classified(answer, name)
            return found

        return await self.reached(access, cluster, read())

    async def _change(
        self,
        access: KafkaAccess,
        cluster: Cluster,
        batcher: Batcher[W, Answer],
        wishes: Mapping[str, W],
    ) -> dict[str, str]:
        async def change() -> dict[str, str]:
            refused = {}
            for name, answer in (await batcher.ask(wishes)).items():
                if not isinstance(answer, KafkaError) or answer.code() in EXPECTED:
                    continue
                if answer.code() in AWAY | DENIED:
                    raise classified(answer, name)
                refused[name] = answer.str()
            return refused

        return await self.reached(access, cluster, change())

    async def cluster(self, access: KafkaAccess) -> Cluster:
        """The client of a cluster, as the identity that serves the access."""
        settings = await self._security.settings(access)
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).digest()
        key = (access.servers, digest)  # as one identity, many pipelines share a client
        try:
            cluster = self._clusters.get(key) or Cluster(access.servers, settings, self._may_write)
        except KafkaException as error:  # for example a ca.crt that is no certificate
            self._security.forget()
            said = f"client of Kafka at {access.servers}: {error.args[0].str()}"
            raise Stalled(Reason.KAFKA_DENIED, f"{said}: correct its Secrets") from error
        self._clusters[key] = cluster
        self._clusters.move_to_end(key)
        if len(self._clusters) > CLUSTERS:
            self._clusters.popitem(last=False)
        return cluster

    async def reached(self, access: KafkaAccess, cluster: Cluster, call: Awaitable[T]) -> T:
        """Say in a failure which cluster it is about, and whether it lets us in at all."""
        try:
            return await call
        except KafkaException as error:
            failure = classified(error.args[0], "")
        except ReconcileError as error:
            failure = error
        refusal = cluster.refusal()
        if isinstance(failure, Retryable) and refusal:
            failure = classified(refusal, "")
        if isinstance(failure, Stalled):
            self._security.forget()
        raise located(failure, access.servers)


def _code(answer: Answer) -> int | None:
    """Of a failure; None of an answer."""
    return answer.code() if isinstance(answer, KafkaError) else None


def _by_name(futures: Mapping[ConfigResource, Future[Any]]) -> dict[str, Future[Any]]:
    return {resource.name: future for resource, future in futures.items()}


def _alteration(name: str, change: ConfigChange) -> ConfigResource:
    entries = [
        ConfigEntry(
            key,
            value if value is not None else "",
            incremental_operation=AlterConfigOpType.SET
            if value is not None
            else AlterConfigOpType.DELETE,
        )
        for key, value in change.items()
    ]
    return ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
