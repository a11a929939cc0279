"""Memory of all children in the cluster, fed by watches and by our own writes."""

from collections import defaultdict
from collections.abc import Callable, Iterator

from eventpipeline_operator.adapters.kube.facts import Child
from eventpipeline_operator.adapters.kube.resources import Ref
from eventpipeline_operator.api.types import Key

TOMBSTONES = 4096


class Cache:
    """Children by identity and by pipeline; tells of changes that are worth a look."""

    def __init__(self, on_change: Callable[[Key], None]) -> None:
        self._children: dict[Ref, Child] = {}
        self._by_pipeline: defaultdict[Key, set[Ref]] = defaultdict(set)
        self._on_change = on_change
        self._gone: dict[str, None] = {}

    def get(self, ref: Ref) -> Child | None:
        """One child."""
        return self._children.get(ref)

    def has_seen(self, ref: Ref, uid: str, version: str) -> bool:
        """Whether this sight of a child, or a later one, has been taken in."""
        known = self._children.get(ref)
        return known is not None and known.uid == uid and int(known.version) >= int(version)

    def of(self, key: Key, kind: str | None = None) -> Iterator[Child]:
        """Children of a pipeline, of one kind or of all."""
        for ref in tuple(self._by_pipeline.get(key, ())):
            if kind is None or ref.kind == kind:
                yield self._children[ref]

    def refs(self, kind: str, namespace: str | None) -> set[Ref]:
        """All known identities of a kind (in a namespace)."""
        return {r for r in self._children if r.kind == kind and namespace in (None, r.namespace)}

    def put(self, child: Child) -> None:
        """Take in a newer sight of a child; an older one is ignored."""
        known = self._children.get(child.ref)
        if child.uid in self._gone:  # the answer to a write can come after the deletion
            return
        if self.has_seen(child.ref, child.uid, child.version):
            return
        if known and known.pipeline and known.pipeline != child.pipeline:
            self._by_pipeline[known.pipeline].discard(child.ref)
            self._on_change(known.pipeline)
        self._children[child.ref] = child
        if child.pipeline:
            self._by_pipeline[child.pipeline].add(child.ref)
            if known is None or known.essence != child.essence:
                self._on_change(child.pipeline)

    def retain(self, kind: str, namespace: str | None, listed: set[Ref], version: str) -> None:
        """Drop what a list no longer showed; what is younger than the list stays."""
        for ref in self.refs(kind, namespace) - listed:
            if int(self._children[ref].version) <= int(version):
                self.discard(ref)

    def discard(self, ref: Ref, uid: str | None = None) -> None:
        """The child is gone (when it is still the one with this uid)."""
        known = self._children.get(ref)
        if known is None or (uid and known.uid != uid):
            return
        del self._children[ref]
        self._gone[known.uid] = None
        if len(self._gone) > TOMBSTONES:
            del self._gone[next(iter(self._gone))]
        if known.pipeline:
            refs = self._by_pipeline[known.pipeline]
            refs.discard(ref)
            if not refs:
                del self._by_pipeline[known.pipeline]
            self._on_change(known.pipeline)
