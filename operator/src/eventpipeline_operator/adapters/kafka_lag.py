"""The Lags port, with the clients of kafka.py but apart from the passes.

A look at one cluster is one description of all topics, two calls for all starts and ends, and one
question for each group (kafka_commits.py). A cluster that fails is left alone
for a while, so that it does not hold up the looks at the others.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import structlog
from confluent_kafka import (
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined] # stubs re-export nothing
    AdminClient,
    OffsetSpec,
)

from eventpipeline_operator.adapters.kafka import Cluster, KafkaAdmin
from eventpipeline_operator.adapters.kafka_answers import settle
from eventpipeline_operator.adapters.kafka_commits import Commits
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity
from eventpipeline_operator.api.offsets import GroupOffsets, PartitionOffsets
from eventpipeline_operator.desired.records import ScalingRecord
from eventpipeline_operator.errors import ReconcileError

log = structlog.get_logger()

CALL_SECONDS = 8.0
PAUSE_SECONDS = 30.0
# The client's factories have no types; these are the values that they give.
EARLIEST: Any = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
LATEST: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]

Offsets = Mapping[tuple[str, int], int]
Seen = dict[ScalingRecord, GroupOffsets]


class KafkaLag:
    """Offsets of the groups of all clusters that pipelines name."""

    def __init__(
        self,
        kafka: KafkaAdmin,
        security: KafkaSecurity,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kafka = kafka
        self._security = security
        self._commits = Commits()
        self._clock = clock
        self._paused: dict[Cluster, float] = {}

    async def observe(self, groups: Collection[ScalingRecord]) -> Seen:
        """Offsets of groups; one that could not be read in full is left out."""
        clusters: defaultdict[Cluster, list[ScalingRecord]] = defaultdict(list)
        for group in groups:
            try:
                clusters[await self._kafka.cluster(group.access)].append(group)
            except ReconcileError as error:  # the passes tell of it
                log.debug("no access", reason=error.reason)
        now = self._clock()
        self._paused = {c: until for c, until in self._paused.items() if until > now}
        looks = await asyncio.gather(
            *(self._look(c, asked) for c, asked in clusters.items() if c not in self._paused)
        )
        return {group: offsets for seen in looks for group, offsets in seen.items()}

    async def _look(self, cluster: Cluster, groups: list[ScalingRecord]) -> Seen:
        admin = cluster.admin
        try:
            places = await _partitions(admin, {t for g in groups for t in g.topics})
            starts, ends = await asyncio.gather(
                _offsets(admin, places, EARLIEST), _offsets(admin, places, LATEST)
            )
            sights = await asyncio.gather(*(self._sight(g, starts, ends) for g in groups))
        except (KafkaException, ReconcileError) as error:
            self._paused[cluster] = self._clock() + PAUSE_SECONDS
            log.info("lag not read", servers=groups[0].access.servers, error=str(error))
            return {}
        return {group: sight for group, sight in zip(groups, sights, strict=True) if sight}

    async def _sight(
        self, group: ScalingRecord, starts: Offsets, ends: Offsets
    ) -> GroupOffsets | None:
        """All partitions of all the group's topics, or nothing at all."""
        places = [place for place in starts if place[0] in group.topics and place in ends]
        if {place[0] for place in places} != set(group.topics):
            return None
        settings = await self._security.settings(group.access)
        try:
            committed = await self._commits.read(
                group.access.servers, settings, group.group, places
            )
        except KafkaException as error:  # for example: its coordinator is moving
            log.info("group not read", group=group.group, error=str(error))
            return None
        if committed is None:
            return None
        return GroupOffsets(
            {p: PartitionOffsets(starts[p], ends[p], committed.get(p)) for p in places}
        )


async def _partitions(admin: AdminClient, topics: Iterable[str]) -> list[tuple[str, int]]:
    wanted = TopicCollection(sorted(topics))
    futures = admin.describe_topics(wanted, request_timeout=CALL_SECONDS)
    answers = await settle("describe_topics", futures)
    return [(name, p.id) for name, topic in _good(answers).items() for p in topic.partitions]


async def _offsets(
    admin: AdminClient, places: Iterable[tuple[str, int]], spec: OffsetSpec
) -> Offsets:
    asked = {TopicPartition(*place): spec for place in places}
    if not asked:
        return {}
    futures = admin.list_offsets(asked, request_timeout=CALL_SECONDS)
    by_place: Any = {(tp.topic, tp.partition): future for tp, future in futures.items()}
    answers = _good(await settle("list_offsets", by_place))
    whole = {topic for topic, _ in by_place} - {topic for topic, _ in set(by_place) - set(answers)}
    return {place: found.offset for place, found in answers.items() if place[0] in whole}


def _good(answers: Mapping[Any, Any]) -> dict[Any, Any]:
    """What was answered; when nothing was, the first failure is raised."""
    good = {k: answer for k, answer in answers.items() if not isinstance(answer, KafkaError)}
    if answers and not good:
        raise KafkaException(next(iter(answers.values())))
    return good
