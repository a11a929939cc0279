"""Dead letters after their cause was mended: list them, and send them on their way again.

A redriven record goes back to its topic through the outbox, so that it is neither lost nor sent
without a note; every group of that topic sees it, which their natural keys make harmless.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from eventbus.database import Database
from eventbus.inbox import LARGEST_RECORD

log = structlog.get_logger(__name__)

_SIZE = (
    "coalesce(octet_length(d.key), 0) + coalesce(octet_length(d.value), 0)"
    " + octet_length(d.headers::text)"
)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What a person needs to decide."""

    id: int
    origin: str
    cause: str
    created_at: datetime
    redriven_at: datetime | None


def list_dead_letters(database: Database, limit: int = 1_000) -> list[DeadLetter]:
    """The newest first."""
    with database.statement() as cursor:
        cursor.execute(
            "SELECT id, topic || '/' || partition || '/' || record_offset, cause, created_at,"
            " redriven_at FROM dead_letter ORDER BY id DESC LIMIT %s",
            [limit],
        )
        return [DeadLetter(*row) for row in cursor]


def redrive(database: Database, ids: Sequence[int] = ()) -> int:
    """Send these, or all that were not sent before; answers how many.

    One that is too large for Kafka stays where it is: only who sent it knows how to do that.
    """
    chosen = "d.id = ANY(%(ids)s)" if ids else "d.redriven_at IS NULL"
    values = {"ids": list(ids), "largest": LARGEST_RECORD}
    with database.transaction() as cursor:
        cursor.execute(
            f"SELECT d.id FROM dead_letter AS d WHERE {chosen} AND {_SIZE} > %(largest)s",  # noqa: S608
            values,
        )
        too_large = [row[0] for row in cursor.fetchall()]
        if too_large:
            log.warning("dead_letters.too_large", ids=too_large, largest=LARGEST_RECORD)
        cursor.execute(
            "WITH chosen AS (UPDATE dead_letter AS d SET redriven_at = now()"  # noqa: S608
            f" WHERE {chosen} AND {_SIZE} <= %(largest)s RETURNING d.*)"
            " INSERT INTO outbox (topic, key, type, event_id, subject, raw, raw_key, headers)"
            " SELECT topic, '', 'Redrive', 'redrive/' || id, '', value, key, headers"
            " FROM chosen ORDER BY id",
            values,
        )
        return cursor.rowcount
