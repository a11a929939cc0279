"""What a plan consists of: changes, each of one object in one system."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from eventpipeline_operator.cli.comparing import Difference


class System(StrEnum):
    """Where a change happens, in the order in which they happen."""

    OBJECT = "object"
    KAFKA = "kafka"
    VAULT = "vault"
    KUBERNETES = "kubernetes"


class Action(StrEnum):
    """What is done."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    ISSUE = "issue"
    REVOKE = "revoke"


@dataclass(frozen=True)
class Change:
    """One object that an apply would change."""

    system: System
    action: Action
    subject: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Forecast:
    """What an apply would do, what would keep it from succeeding, and what is not foreseen."""

    changes: tuple[Change, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON; a plan is the same plan when this is equal."""
        return {
            "changes": [_change(c) for c in self.changes],
            "problems": list(self.problems),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Sight:
    """What there is, as far as it was looked at; None stands for not looked at."""

    body: Mapping[str, Any] | None = None
    children: tuple[dict[str, Any], ...] = ()
    topics: Mapping[str, Any] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    traefik_class: str | None = None


def _change(change: Change) -> dict[str, Any]:
    return {
        "system": change.system.value,
        "action": change.action.value,
        "subject": change.subject,
        "differences": [asdict(d) for d in change.differences],
    }
