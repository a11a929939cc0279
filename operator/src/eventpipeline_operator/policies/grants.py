"""Which Kafka names a namespace may claim as its own, and which topics of others it may use.

Its own prefix, what the installer granted, and of others' topics those that are shared with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from eventpipeline_operator.api.names import kafka_name
from eventpipeline_operator.api.observed import Fate, Problem
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline, Topic
from eventpipeline_operator.api.validation import containers
from eventpipeline_operator.policies.claims import Claim

Prefixes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Grants:
    """The installer's grants, as prefixes by namespace: to have topics, and to use others'."""

    topics: Prefixes = field(default_factory=dict)
    external: Prefixes = field(default_factory=dict)

    def prefixes(self, namespace: str) -> tuple[str, ...]:
        """What a namespace may give its topics as a beginning of their names."""
        return (f"{namespace}.", *self.topics.get(namespace, ()))

    def own(self, namespace: str, name: str) -> bool:
        """Whether a namespace may have a topic of this Kafka name."""
        return name.startswith(self.prefixes(namespace))

    def use(self, namespace: str, name: str) -> bool:
        """Whether the installer lets a namespace use a topic that may be somebody else's."""
        return self.own(namespace, name) or name.startswith(self.external.get(namespace, ()))


def evaluate_grants(
    pipeline: EventPipeline, grants: Grants, holders: Mapping[str, Claim]
) -> dict[str, Problem]:
    """One problem, by Kafka name, for each topic that the pipeline's namespace may not name."""
    problems = {}
    for topic in pipeline.topics:
        name = kafka_name(pipeline.key, topic)
        if topic.external is None:
            problem = _evaluate_own(pipeline.key.namespace, topic, name, grants)
        else:
            problem = _evaluate_external(
                pipeline.key.namespace, topic, name, grants, holders.get(name)
            )
        if problem:
            problems[name] = problem
    return problems


def evaluate_groups(pipeline: EventPipeline, grants: Grants) -> dict[str, Problem]:
    """One problem for each given consumer group that the pipeline's namespace may not name.

    Where Kafka refuses what is not allowed, the operator must not allow what is others'.
    """
    problems = {}
    for service in pipeline.services:
        for path, _, container in containers(service):
            group = container.consumer_group
            if group and container.consumes and not grants.own(pipeline.key.namespace, group):
                allowed = ", ".join(grants.prefixes(pipeline.key.namespace))
                problems[group] = Problem(
                    Reason.GROUP_NAME_DENIED,
                    f"{path}.consumerGroup: {group} is outside of what namespace "
                    f"{pipeline.key.namespace} may name ({allowed}), its user may not join it: "
                    "rename it or ask the operator's installer for a grant (topicGrants)",
                    Fate.STALL,
                )
    return problems


def _evaluate_own(namespace: str, topic: Topic, name: str, grants: Grants) -> Problem | None:
    if grants.own(namespace, name):
        return None
    allowed = ", ".join(grants.prefixes(namespace))
    return Problem(
        Reason.TOPIC_NAME_DENIED,
        f"spec.topics[{topic.name}].topicName: {name} is outside of what namespace {namespace} may "
        f"name ({allowed}): rename it or ask the operator's installer for a grant (topicGrants)",
        Fate.STALL,
    )


def _evaluate_external(
    namespace: str, topic: Topic, name: str, grants: Grants, holder: Claim | None
) -> Problem | None:
    shared = holder is not None and namespace in holder.shared_with
    if shared or grants.use(namespace, name):
        return None
    ways = "ask the operator's installer for a grant (externalGrants)"
    if holder:
        ways = (
            f"let EventPipeline {holder.key} list {namespace} in that topic's sharedWith, or "
            + ways
        )
    else:
        ways += ", or its owner to declare and share it (sharedWith) at the same bootstrapServers"
    return Problem(
        Reason.EXTERNAL_TOPIC_DENIED,
        f"spec.topics[{topic.name}].external: {name} is not shared with namespace {namespace}: "
        + ways,
        Fate.STALL,
    )
