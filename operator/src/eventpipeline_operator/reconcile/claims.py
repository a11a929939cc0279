"""Which objects claim which topics, and who uses others': kept from deliveries, asked in passes.

Only what an object may have counts as its claim: nobody can keep others from their topics by
naming them.
"""

from collections.abc import Iterable, Iterator, Mapping

from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.desired.topics import build_topics
from eventpipeline_operator.policies.claims import Claim
from eventpipeline_operator.policies.grants import Grants

Topic = tuple[str, str]


class Claims:
    """Claims and uses of all known objects, by cluster and Kafka name."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self._claims: dict[Topic, dict[str, Claim]] = {}
        self._users: dict[Topic, dict[str, Key]] = {}
        self._topics: dict[str, Mapping[Topic, Claim]] = {}
        self._uses: dict[str, frozenset[Topic]] = {}

    def update(self, pipeline: EventPipeline) -> set[Key]:
        """Take an object's claims; returns the others that must look at theirs anew."""
        wanted = dict(self._wanted(pipeline))
        before = self._topics.get(pipeline.uid, {})
        touched = self._drop(pipeline.uid, before.keys() - wanted.keys())
        self._topics[pipeline.uid] = wanted
        for topic, claim in wanted.items():
            if before.get(topic) != claim:
                self._claims.setdefault(topic, {})[pipeline.uid] = claim
                touched |= self._concerned(topic)
        self._use(pipeline)
        return touched - {pipeline.key}

    def release(self, uid: str) -> set[Key]:
        """The object is gone; returns the others that claimed or used the same."""
        for topic in self._uses.pop(uid, ()):
            self._unuse(uid, topic)
        return self._drop(uid, self._topics.pop(uid, {}))

    def holders(self, servers: str, names: Iterable[str]) -> dict[str, Claim]:
        """The first claim on each topic that anybody claims."""
        found = {name: self._claims.get((servers, name), {}) for name in names}
        return {name: min(rivals.values()) for name, rivals in found.items() if rivals}

    def rivals(self, uid: str, servers: str, names: Iterable[str]) -> dict[str, Key]:
        """Of each topic that objects other than this one claim too: one of them."""
        found = {}
        for name in names:
            others = [c for c in self._claims.get((servers, name), {}).values() if c.uid != uid]
            if others:
                found[name] = min(others).key
        return found

    def _wanted(self, pipeline: EventPipeline) -> Iterator[tuple[Topic, Claim]]:
        mine = claim_of(pipeline)
        shared = {t.name: t.shared_with for t in pipeline.topics if t.shared_with}
        for record in build_topics(pipeline):
            if record.external or not self._grants.own(pipeline.key.namespace, record.name):
                continue
            guests = () if record.dead_letters_of else shared.get(record.entry, ())
            claim = mine._replace(shared_with=guests) if guests else mine
            yield (pipeline.bootstrap_servers, record.name), claim

    def _use(self, pipeline: EventPipeline) -> None:
        wanted = frozenset(
            (pipeline.bootstrap_servers, t.external) for t in pipeline.topics if t.external
        )
        for topic in self._uses.pop(pipeline.uid, frozenset()) - wanted:
            self._unuse(pipeline.uid, topic)
        if wanted:
            self._uses[pipeline.uid] = wanted
        for topic in wanted:
            self._users.setdefault(topic, {})[pipeline.uid] = pipeline.key

    def _unuse(self, uid: str, topic: Topic) -> None:
        self._users[topic].pop(uid, None)
        if not self._users[topic]:
            del self._users[topic]

    def _drop(self, uid: str, topics: Iterable[Topic]) -> set[Key]:
        touched: set[Key] = set()
        for topic in topics:
            self._claims[topic].pop(uid, None)
            touched |= self._concerned(topic)
            if not self._claims[topic]:
                del self._claims[topic]
        return touched

    def _concerned(self, topic: Topic) -> set[Key]:
        rivals = {claim.key for claim in self._claims.get(topic, {}).values()}
        return rivals | set(self._users.get(topic, {}).values())


def claim_of(pipeline: EventPipeline) -> Claim:
    """The claim that an object has on everything that it declares."""
    return Claim(pipeline.created, pipeline.uid, pipeline.key)
