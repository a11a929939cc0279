"""The TopicRemoval port: who depends on topics, and their removal by id.

The client library deletes by name alone, so ids are compared in the call before. What several
objects that go at once want to know or to remove is one look at all groups, and one call.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from confluent_kafka import (
    ConsumerGroupState,
    KafkaError,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from eventpipeline_operator.adapters.batching import Batcher
from eventpipeline_operator.adapters.kafka import (
    READ_SECONDS,
    VISIBLE_SECONDS,
    WRITE_SECONDS,
    Cluster,
    KafkaAdmin,
)
from eventpipeline_operator.adapters.kafka_answers import AWAY, classified, settle
from eventpipeline_operator.adapters.kafka_commits import Commits
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity, Settings
from eventpipeline_operator.api.observed import TopicUsage
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import KafkaAccess
from eventpipeline_operator.errors import Retryable

GROUPS_A_CALL = 500
GONE = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND})
OVER = frozenset({ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD})

# The client's factories have no types; these are the values that they give.
EARLIEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]

Groups = Mapping[str, frozenset[str]]
Place = tuple[str, int]


class KafkaDeletion:
    """Inspects and removes topics, with the clients of KafkaAdmin."""

    def __init__(self, admin: KafkaAdmin, security: KafkaSecurity) -> None:
        self._admin = admin
        self._security = security
        self._by_cluster: WeakKeyDictionary[Cluster, _Deletions] = WeakKeyDictionary()

    async def inspect(self, access: KafkaAccess, names: Collection[str]) -> dict[str, TopicUsage]:
        """Who depends on topics; those that do not exist are left out."""
        cluster = await self._admin.cluster(access)
        usages = (await self._deletions(access, cluster)).usages
        wishes: dict[str, None] = dict.fromkeys(names)
        return await self._admin.reached(access, cluster, usages.ask(wishes))

    async def remove(self, access: KafkaAccess, ids: Mapping[str, str]) -> dict[str, str]:
        """Remove exactly these topics and wait until the cluster shows them no more."""
        cluster = await self._admin.cluster(access)
        removals = (await self._deletions(access, cluster)).removals
        answers = await self._admin.reached(access, cluster, removals.ask(ids))
        deadline = time.monotonic() + VISIBLE_SECONDS
        removed = {name: ids[name] for name, words in answers.items() if not words}
        while time.monotonic() < deadline:
            shown = await self._admin.describe(access, removed, [])
            if not any(topic.id == removed[name] for name, topic in shown.items()):
                break
            await asyncio.sleep(0.05)
        return {name: words for name, words in answers.items() if words}

    async def _deletions(self, access: KafkaAccess, cluster: Cluster) -> "_Deletions":
        settings = await self._security.settings(access)
        fresh = _Deletions(cluster.admin, access.servers, settings)
        return self._by_cluster.setdefault(cluster, fresh)


class _Deletions:
    """One cluster's batched inspections and removals."""

    def __init__(self, admin: AdminClient, servers: str, settings: Settings) -> None:
        self._admin = admin
        self._servers = servers
        self._settings = settings
        self.usages = Batcher(self._inspect)
        self.removals = Batcher(self._remove)

    async def _inspect(self, names: Mapping[str, None]) -> dict[str, TopicUsage]:
        topics = await self._describe(names)
        if not topics:
            return {}
        places = [(name, n) for name, (_, count) in topics.items() for n in range(count)]
        groups = await self._list_groups()
        records, committed, live = await asyncio.gather(
            self._records(places), self._committed(groups, places), self._live(groups)
        )
        return {
            name: TopicUsage(
                id=topic_id,
                records=records.get(name, 0),
                committed=committed.get(name, frozenset()),
                live=live.get(name, frozenset()),
            )
            for name, (topic_id, _) in topics.items()
        }

    async def _remove(self, ids: Mapping[str, str]) -> dict[str, str]:
        topics = await self._describe(ids)
        answers = {
            name: f"the topic was made anew as {topics[name][0]}"
            for name, wanted in ids.items()
            if name in topics and topics[name][0] != wanted
        }
        due = [name for name in topics if name not in answers]
        if due:
            futures = self._admin.delete_topics(due, request_timeout=WRITE_SECONDS)
            for name, answer in (await settle("delete_topics", futures)).items():
                if isinstance(answer, KafkaError) and answer.code() in AWAY:
                    raise classified(answer, name)
                failed = isinstance(answer, KafkaError) and answer.code() not in GONE
                answers[name] = answer.str() if failed else ""
        return {name: answers.get(name, "") for name in ids}

    async def _describe(self, names: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Id and number of partitions of those that exist."""
        wanted = TopicCollection(list(names))
        futures = self._admin.describe_topics(wanted, request_timeout=READ_SECONDS)
        answers = _existing(await settle("describe_topics", futures))
        return {name: (str(t.topic_id), len(t.partitions)) for name, t in answers.items()}

    async def _records(self, places: Iterable[Place]) -> dict[str, int]:
        """Retained records: end minus start of each partition."""
        ends, starts = await asyncio.gather(
            self._offsets(places, LATEST), self._offsets(places, EARLIEST)
        )
        records: dict[str, int] = defaultdict(int)
        for place in ends.keys() & starts.keys():
            records[place[0]] += ends[place] - starts[place]
        return records

    async def _offsets(self, places: Iterable[Place], spec: Any) -> dict[Place, int]:
        asked = {TopicPartition(*place): spec for place in places}
        futures = self._admin.list_offsets(asked, request_timeout=READ_SECONDS)
        by_place: Any = {(tp.topic, tp.partition): future for tp, future in futures.items()}
        answers = _existing(await settle("list_offsets", by_place))
        return {place: answer.offset for place, answer in answers.items()}

    async def _list_groups(self) -> list[str]:
        listing = self._admin.list_consumer_groups(request_timeout=READ_SECONDS)
        (found,) = (await settle("list_consumer_groups", {"groups": listing})).values()
        if isinstance(found, KafkaError):
            raise classified(found, "consumer groups")
        if found.errors:
            raise classified(found.errors[0].args[0], "consumer groups")
        return [group.group_id for group in found.valid]

    async def _committed(self, groups: Iterable[str], places: Iterable[Place]) -> Groups:
        """Groups that have committed offsets, by topic."""
        found: dict[str, set[str]] = defaultdict(set)
        commits = Commits()  # seldom needed, and a consumer for each group: none is kept

        async def read(group: str) -> None:
            offsets = await commits.read(self._servers, self._settings, group, places)
            if offsets is None:
                said = f"offsets of group {group} could not be read in full"
                raise Retryable(Reason.KAFKA_UNAVAILABLE, said)
            for topic, _ in offsets:
                found[topic].add(group)

        try:
            await asyncio.gather(*(read(group) for group in groups))
        finally:
            await asyncio.to_thread(commits.close)
        return _frozen(found)

    async def _live(self, groups: list[str]) -> Groups:
        """Groups with members that partitions are assigned to, by topic."""
        found: dict[str, set[str]] = defaultdict(set)
        for start in range(0, len(groups), GROUPS_A_CALL):
            futures = self._admin.describe_consumer_groups(
                groups[start : start + GROUPS_A_CALL], request_timeout=READ_SECONDS
            )
            answers = _existing(await settle("describe_consumer_groups", futures))
            for group, answer in answers.items():
                for member in answer.members if answer.state not in OVER else ():
                    for partition in member.assignment.topic_partitions:
                        found[partition.topic].add(group)
        return _frozen(found)


def _existing(answers: Mapping[Any, Any]) -> dict[Any, Any]:
    """What is there; a failure that means anything else than "not there" is raised."""
    found = {}
    for name, answer in answers.items():
        if not isinstance(answer, KafkaError):
            found[name] = answer
        elif answer.code() not in GONE:
            raise classified(answer, str(name))
    return found


def _frozen(groups: Mapping[str, set[str]]) -> Groups:
    return {topic: frozenset(names) for topic, names in groups.items()}
