"""How many records wait for each consuming process, for the screen."""

from collections.abc import Iterable, Mapping

from eventpipeline_operator.api import names
from eventpipeline_operator.api.offsets import GroupOffsets
from eventpipeline_operator.api.types import EventPipeline, Scale
from eventpipeline_operator.api.validation import containers
from eventpipeline_operator.desired.records import ScalingRecord
from eventpipeline_operator.reconcile.kafka_ports import Lags

Waiting = Mapping[tuple[str, str], int]


class LagBoard:
    """The last known lag by topic and workload."""

    def __init__(self, lags: Lags) -> None:
        self._lags = lags
        self.waiting: Waiting = {}

    async def look(self, pipelines: Iterable[EventPipeline]) -> None:
        """Ask the brokers once for all groups."""
        groups = {record: name for p in pipelines for name, record in build_groups(p).items()}
        if not groups:
            return
        seen = await self._lags.observe(groups)
        self.waiting = {
            (topic, groups[record]): lag
            for record, offsets in seen.items()
            for topic, lag in lag_by_topic(offsets).items()
        }


def build_groups(pipeline: EventPipeline) -> dict[str, ScalingRecord]:
    """The group of each workload that consumes; its bounds are of no concern."""
    topics = {t.name: names.kafka_name(pipeline.key, t) for t in pipeline.topics}
    found = {}
    for service in pipeline.services:
        for _, worker, container in containers(service):
            name = worker.name if worker else None
            if container.consumes:
                found[names.workload_name(service.name, name)] = ScalingRecord(
                    scale=Scale(1),
                    access=pipeline.kafka_access,
                    group=container.consumer_group
                    or names.consumer_group(pipeline.key, service.name, name),
                    topics=tuple(topics[entry] for entry in container.consumes),
                )
    return found


def lag_by_topic(offsets: GroupOffsets) -> dict[str, int]:
    """Records that wait, summed over partitions."""
    sums: dict[str, int] = {}
    for (topic, _), partition in offsets.partitions.items():
        sums[topic] = sums.get(topic, 0) + partition.lag
    return sums
