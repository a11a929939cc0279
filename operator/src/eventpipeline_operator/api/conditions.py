"""The Condition type and its wire form."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from eventpipeline_operator.api.reasons import PROGRESS

MESSAGE_LIMIT = 4096


class ConditionType(StrEnum):
    """Condition types, in the order in which they are shown."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    TOPICS = "TopicsReady"
    USERS = "UsersReady"
    SECRETS = "SecretsReady"
    WORKLOADS = "WorkloadsReady"


class Status(StrEnum):
    """Condition status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Condition:
    """One condition without its times."""

    type: ConditionType
    status: Status
    reason: str
    message: str

    @property
    def alarming(self) -> bool:
        """Whether something is wrong, not merely under way."""
        return self.status is Status.FALSE and self.reason not in PROGRESS

    def to_dict(self, generation: int, since: str) -> dict[str, Any]:
        """Build the wire form."""
        return {
            "type": str(self.type),
            "status": str(self.status),
            "observedGeneration": generation,
            "lastTransitionTime": since,
            "reason": str(self.reason),
            "message": self.message[:MESSAGE_LIMIT],
        }


def current(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Conditions of a live status by type."""
    return {c["type"]: c for c in status.get("conditions") or ()}
