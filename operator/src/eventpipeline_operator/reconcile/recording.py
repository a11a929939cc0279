"""What a pass did, told by whoever did it and kept for the journal (journal.py).

Steps and adapters tell of each call that changed something, wherever they are: the pass that it
belongs to is found by context, so that no signature carries it.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field

from eventpipeline_operator.api.conditions import Condition
from eventpipeline_operator.policies.redaction import redact

TEXT_LIMIT = 300


@dataclass
class Pass:
    """What one pass did."""

    at: str
    secrets: set[str] = field(default_factory=set, repr=False)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    results: list[Condition] = field(default_factory=list)

    def text(self, words: str) -> str:
        """Words as they may be kept."""
        return redact(words, self.secrets)[:TEXT_LIMIT]


current_pass: ContextVar[Pass | None] = ContextVar("current_pass", default=None)


def record_call(call: str, subject: str, result: str) -> None:
    """A call that changed something."""
    running = current_pass.get()
    if running:
        running.calls.append((call, subject, result))


def record_result(condition: Condition) -> None:
    """A condition that turned."""
    running = current_pass.get()
    if running:
        running.results.append(condition)


def conceal(values: Iterable[object]) -> None:
    """Values that this pass must not leave in the journal, whatever repeats them."""
    running = current_pass.get()
    if running:
        running.secrets.update(str(value) for value in values)
