"""An object that goes → the topics that are its own, and the consumer groups that are."""

from dataclasses import dataclass
from typing import Any

from eventpipeline_operator.api import names
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.api.validation import containers
from eventpipeline_operator.desired.topics import build_topics


@dataclass(frozen=True)
class Parting:
    """Topics by Kafka name with their recorded ids (empty where none is), and own groups."""

    topics: dict[str, str]
    groups: frozenset[str]


def build_parting(pipeline: EventPipeline) -> Parting:
    """Recorded topics, and declared ones that may have been made without being recorded."""
    records = build_topics(pipeline)
    external = {r.name for r in records if r.external}
    topics = dict.fromkeys((r.name for r in records if not r.external), "")
    topics.update({n: i for n, i in recorded_topics(pipeline.status).items() if n not in external})
    groups = {
        container.consumer_group
        or names.consumer_group(pipeline.key, service.name, worker.name if worker else None)
        for service in pipeline.services
        for _, worker, container in containers(service)
        if container.consumes
    }
    return Parting(topics, frozenset(groups))


def delivered_names(status: Any) -> set[str]:
    """Names of the delivered secrets that a status tells, those of Kafka users included."""
    told = [*(status.get("secrets") or ()), *((status.get("users") or {}).get("items") or ())]
    return {item["secretName"] for item in told if "secretName" in item}


def recorded_topics(status: Any) -> dict[str, str]:
    """Kafka names and ids that a status tells."""
    items = (status.get("topics") or {}).get("items") or ()
    return {item["topicName"]: item.get("id", "") for item in items}
