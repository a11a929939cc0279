"""What a fault run says: line by line while it goes on, and as JSON at its end."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults.checker import Evidence, Finding, Sort
from faults.history import Outcome

if TYPE_CHECKING:
    from faults.run import Options

_SHOWN = 12


def say(line: str) -> None:
    """One line to whoever watches."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class Report:
    """A run and its judgement."""

    options: "Options"
    evidence: Evidence
    findings: Sequence[Finding]
    self_ended: Sequence[str]
    seconds: float
    quiet_seconds: float

    @property
    def struck(self) -> int:
        """Faults that took place."""
        return sum(strike.struck for strike in self.evidence.strikes)

    def count(self, sort: Sort) -> int:
        """Findings of one sort."""
        return sum(finding.sort is sort for finding in self.findings)

    def classes(self) -> dict[str, int]:
        """Faults that took place, per class."""
        counts = Counter(dict.fromkeys(self.options.kinds, 0))
        counts.update(strike.kind for strike in self.evidence.strikes if strike.struck)
        return dict(sorted(counts.items()))

    def to_json(self) -> dict[str, Any]:
        """The figures that two runs can be compared by."""
        attempts = Counter(attempt.outcome for attempt in self.evidence.attempts)
        mails = self.evidence.mails
        return {
            "seed": self.options.seed,
            "mutation": self.options.mutation,
            "faults": self.struck,
            "planned": self.options.faults,
            "lost": self.count(Sort.LOST),
            "doubled": self.count(Sort.DOUBLED),
            "unexplained": self.count(Sort.UNEXPLAINED),
            "classes": self.classes(),
            "variants": self._variants(),
            "seconds": round(self.seconds, 1),
            "quiet_seconds": round(self.quiet_seconds, 1),
            "orders": len(self.evidence.state.orders),
            "statuses": Counter(order.status for order in self.evidence.state.orders),
            "attempts": {outcome: attempts[outcome] for outcome in Outcome},
            "events": len(self.evidence.state.event_log),
            "mails": len(mails),
            "second_copies": len(mails) - len({mail.message_id for mail in mails}),
            "dead_letters": len(self.evidence.state.dead_letters),
            "self_ended": list(self.self_ended),
            "findings": [vars(finding) for finding in self.findings[:200]],
        }

    def _variants(self) -> dict[str, int]:
        struck = [strike for strike in self.evidence.strikes if strike.struck]
        return dict(sorted(Counter(f"{s.kind}: {s.variant}" for s in struck).items()))


def write(report: Report, path: Path) -> None:
    """Print the judgement and store it."""
    figures = report.to_json()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2) + "\n")
    for invariant, count in Counter(
        f"{finding.sort}: {finding.invariant}" for finding in report.findings
    ).items():
        say(f"  {count:6}  {invariant}")
    for finding in report.findings[:_SHOWN]:
        say(f"  {finding.sort}  {finding.invariant}: {finding.detail}")
    shown = ("seed", "faults", "lost", "doubled", "unexplained", "orders", "mails", "seconds")
    say("  ".join(f"{name}={figures[name]}" for name in shown))
