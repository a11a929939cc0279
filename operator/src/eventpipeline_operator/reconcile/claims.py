"""Which objects claim which topics: kept from deliveries, asked in the topics step."""

from collections.abc import Iterable

from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.desired.topics import build_topics
from eventpipeline_operator.policies.claims import Claim

Topic = tuple[str, str]


class Claims:
    """Claims of all known objects, by cluster and Kafka name."""

    def __init__(self) -> None:
        self._claims: dict[Topic, dict[str, Claim]] = {}
        self._topics: dict[str, frozenset[Topic]] = {}

    def update(self, pipeline: EventPipeline) -> set[Key]:
        """Take an object's claims; returns the others that must look at theirs anew."""
        wanted = frozenset(
            (pipeline.bootstrap_servers, r.name) for r in build_topics(pipeline) if not r.external
        )
        before = self._topics.get(pipeline.uid, frozenset())
        touched = self._drop(pipeline.uid, before - wanted)
        self._topics[pipeline.uid] = wanted
        for topic in wanted:
            rivals = self._claims.setdefault(topic, {})
            if topic not in before:
                touched |= {claim.key for claim in rivals.values()}
            rivals[pipeline.uid] = claim_of(pipeline)
        return touched - {pipeline.key}

    def release(self, uid: str) -> set[Key]:
        """The object is gone; returns the others that claimed the same."""
        return self._drop(uid, self._topics.pop(uid, frozenset()))

    def holders(self, servers: str, names: Iterable[str]) -> dict[str, Claim]:
        """The first claim on each topic that anybody claims."""
        found = {name: self._claims.get((servers, name), {}) for name in names}
        return {name: min(rivals.values()) for name, rivals in found.items() if rivals}

    def _drop(self, uid: str, topics: Iterable[Topic]) -> set[Key]:
        touched = set()
        for topic in topics:
            rivals = self._claims[topic]
            rivals.pop(uid, None)
            touched |= {claim.key for claim in rivals.values()}
            if not rivals:
                del self._claims[topic]
        return touched


def claim_of(pipeline: EventPipeline) -> Claim:
    """The claim that an object has on everything that it declares."""
    return Claim(pipeline.created, pipeline.uid, pipeline.key)
