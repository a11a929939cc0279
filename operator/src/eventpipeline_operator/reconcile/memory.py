"""What a pass over an object leaves to the next one; lost on restart without harm."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eventpipeline_operator.api.observed import (
    SecretsObservation,
    TopicsObservation,
    UsersObservation,
)
from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.policies.differences import describe_differences
from eventpipeline_operator.reconcile.secrets import Delivered
from eventpipeline_operator.reconcile.users import Logins


@dataclass
class Memory:
    """Of one object."""

    status: Mapping[str, Any]
    generation: int = 0
    verified_at: float = float("-inf")
    topics: TopicsObservation = field(default_factory=TopicsObservation)
    secrets: SecretsObservation = field(default_factory=SecretsObservation)
    users: UsersObservation | None = None
    logins: Logins = field(default_factory=dict)
    delivered: Delivered = field(default_factory=dict)
    key: Key | None = None
    seen: int = 0
    spec: bytes = b""

    @property
    def all_delivered(self) -> Delivered:
        """What workloads are told: of Vault, and of Kafka."""
        return {**self.delivered, **self.logins}

    def is_quiet(self) -> bool:
        """Whether the passes to come need not ask Kafka and Vault soon again."""
        users = self.users
        settled = users is None or not (users.problems or users.leaving)
        return settled and not self.topics.problems and not self.secrets.problems


def note_spec(pipeline: EventPipeline, memory: Memory, spec: Mapping[str, Any]) -> tuple[str, ...]:
    """What changed since the generation that was seen before; remembers this one."""
    if memory.seen == pipeline.generation:
        return ()
    before, observed = memory.spec, pipeline.status.get("observedGeneration")
    memory.key, memory.seen = pipeline.key, pipeline.generation
    memory.spec = zlib.compress(json.dumps(spec).encode(), 1)
    if before:
        return describe_differences(json.loads(zlib.decompress(before)), spec)
    if observed is None:
        return ("created",)
    if observed == pipeline.generation:
        return ()
    return ("changed while no operator looked: what, is not known",)
