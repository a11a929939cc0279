"""Postgres' part of eventbus in memory: transactions that roll back, an outbox, a fence."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from eventbus.consumer import Partition
from eventbus.envelope import Record
from eventbus.errors import Unavailable
from eventbus.inbox import Step
from eventbus.outbox import OutboxRow


@dataclass
class Tables:
    """What one database holds."""

    positions: dict[Partition, int] = field(default_factory=dict)
    buried: list[tuple[Record, str]] = field(default_factory=list)
    effects: list[Any] = field(default_factory=list)


class FakeInbox:
    """Handlers get the `Tables` as their cursor."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.outages = 0

    def positions(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        self._fail_if_down()
        return {p: self.tables.positions[p] for p in partitions if p in self.tables.positions}

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        self._fail_if_down()
        before = copy.deepcopy(self.tables)
        try:
            yield _Transaction(self.tables)
        except BaseException:
            self.tables = before
            raise

    def _fail_if_down(self) -> None:
        if self.outages:
            self.outages -= 1
            raise Unavailable("the database is away")


class _Transaction:
    def __init__(self, tables: Tables) -> None:
        self.cursor = tables

    def advance(self, steps: Mapping[Partition, Step]) -> set[Partition]:
        positions = self.cursor.positions
        accepted = {p for p, step in steps.items() if positions.get(p) == step.start}
        positions.update({p: steps[p].end for p in accepted})
        return accepted

    def bury(self, record: Record, cause: str) -> None:
        self.cursor.buried.append((record, cause))


class FakeOutbox:
    """Rows that are gone only if the batch's block ends well."""

    def __init__(self, rows: Sequence[OutboxRow] = ()) -> None:
        self.rows = list(rows)
        self.leading = True

    def lead(self) -> bool:
        return self.leading

    @contextmanager
    def batch(self, limit: int) -> Iterator[list[OutboxRow]]:
        taken = self.rows[:limit]
        yield taken
        del self.rows[: len(taken)]

    def wait(self, timeout: float) -> None: ...

    def close(self) -> None: ...


def outbox_row(number: int = 1, **changes: Any) -> OutboxRow:
    values: dict[str, Any] = {
        "id": number,
        "topic": "orders",
        "key": "key",
        "type": "OrderPlaced",
        "event_id": f"event-{number}",
        "subject": "subject",
        "data": '{"n": 1}',
        "raw": None,
        "headers": None,
        "traceparent": None,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    return OutboxRow(**{**values, **changes})
