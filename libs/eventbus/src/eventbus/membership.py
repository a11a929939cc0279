"""Whether a group member still gets anywhere, told by its client's own statistics.

librdkafka can come to stand still without an error: a step of giving up partitions that is never
finished keeps them from everyone, while heartbeats go on (ADR 28). Only the client itself knows,
and the way out is a new process.
"""

import json

from eventbus.errors import Crash

REPORT_SECONDS = 10
STANDSTILL_REPORTS = 6
SILENT_SECONDS = 60.0
# Steps that end by themselves, soon, as long as the coordinator is there (STATISTICS.md, `cgrp`).
_LEAVING = ("wait-unassign-to-complete", "wait-incr-unassign-to-complete")
_LONGEST_POLL = 1.0  # what lasted longer was no poll: a process that stood still, a callback


class Membership:
    """Counts reports that show no progress, and the time of polling that brought none."""

    def __init__(self) -> None:
        self._leaving = 0
        self._silent = 0.0

    def report(self, statistics: str) -> None:
        """What librdkafka tells every `REPORT_SECONDS`, as JSON."""
        group = json.loads(statistics).get("cgrp", {})
        stands = group.get("state") == "up" and group.get("join_state") in _LEAVING
        self._leaving = self._leaving + 1 if stands else 0
        self._silent = 0.0

    def polled(self, seconds: float) -> None:
        """A poll is over; `Crash` if the client gets nowhere any more."""
        self._silent += min(seconds, _LONGEST_POLL)
        if self._leaving >= STANDSTILL_REPORTS:
            raise Crash("the Kafka client does not finish giving up its partitions")
        if self._silent > SILENT_SECONDS:
            raise Crash("the Kafka client gives no sign of life")
