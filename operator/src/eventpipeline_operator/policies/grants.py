"""Which Kafka names a namespace may claim: its own prefix, and what the installer granted."""

from collections.abc import Mapping

from eventpipeline_operator.api.names import kafka_name
from eventpipeline_operator.api.observed import Fate, Problem
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline

Grants = Mapping[str, tuple[str, ...]]


def evaluate_grants(pipeline: EventPipeline, grants: Grants) -> tuple[Problem, ...]:
    """One problem for each topic that the pipeline's namespace may not name."""
    namespace = pipeline.key.namespace
    prefixes = (f"{namespace}.", *grants.get(namespace, ()))
    return tuple(
        Problem(
            Reason.TOPIC_NAME_DENIED,
            f"spec.topics[{topic.name}].topicName: {kafka_name(pipeline.key, topic)} is outside "
            f"of what namespace {namespace} may name ({', '.join(prefixes)}): rename it or ask "
            "the operator's installer for a grant (topicGrants)",
            Fate.STALL,
        )
        for topic in pipeline.topics
        if topic.external is None and not kafka_name(pipeline.key, topic).startswith(prefixes)
    )
