"""Statistics in Postgres: every table holds generations, and readers see the one that lives.

A generation is what one reading of the topic has counted. That the worker's rights end at rows is
why a second reading is kept in the same tables and not in tables of its own.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus.database import Database
from eventbus.statements import Statement
from order_service.domain import Status
from order_service.statistics import BUCKET, EPOCH, Cell, Increments, Tally, TooMuch, Windows

_LIVE = "(SELECT generation FROM stats_generation WHERE live)"
_SWEPT_AT_ONCE = 10_000

_CLAIM = Statement(
    "claim_events",
    ["int", "uuid[]", "int[]"],
    "INSERT INTO stats_counted (generation, order_id, version)"
    " SELECT $1, v.* FROM unnest($2, $3) AS v"
    " ON CONFLICT DO NOTHING RETURNING order_id::text, version",
)
_CLOCKS = Statement(
    "read_clocks",
    ["int", "int[]"],
    "SELECT partition, latest FROM stats_clock WHERE generation = $1 AND partition = ANY($2)",
)
_ADD = Statement(
    "add_counts",
    ["int", "timestamptz[]", "text[]", "text[]", "bigint[]", "bigint[]", "bigint[]"],
    "INSERT INTO stats_bucket AS b (generation, bucket, product, status, orders, quantity, late)"
    " SELECT $1, v.* FROM unnest($2, $3, $4, $5, $6, $7) AS v"
    " ON CONFLICT (generation, bucket, product, status) DO UPDATE"
    " SET orders = b.orders + excluded.orders, quantity = b.quantity + excluded.quantity,"
    " late = b.late + excluded.late",
)
_SET_CLOCKS = Statement(
    "set_clocks",
    ["int", "int[]", "timestamptz[]"],
    "INSERT INTO stats_clock (generation, partition, latest)"
    " SELECT $1, v.* FROM unnest($2, $3) AS v"
    " ON CONFLICT (generation, partition) DO UPDATE SET latest = excluded.latest",
)


class PostgresTallies:
    """What the consumer needs, inside a batch's transaction."""

    def __init__(self, cursor: Cursor, generation: int) -> None:
        self._cursor = cursor
        self._generation = generation

    @classmethod
    def of(cls, cursor: Cursor, generation: int | None) -> "PostgresTallies":
        """For a generation, or the living one: asked here, behind the fence.

        Who gives way to another generation first takes the positions that the fence moves.
        """
        if generation is None:
            cursor.execute(f"SELECT {_LIVE}")
            generation = _only(cursor)
        return cls(cursor, generation)

    def claim(self, ids: Collection[tuple[str, int]]) -> set[tuple[str, int]]:
        """By primary key: an event may lie in the topic twice, or be read again."""
        _CLAIM.run(
            self._cursor,
            self._generation,
            [order_id for order_id, _ in ids],
            [number for _, number in ids],
        )
        return set(self._cursor.fetchall())

    def clocks(self, partitions: Collection[int]) -> dict[int, datetime]:
        """One row per partition that was ever heard."""
        _CLOCKS.run(self._cursor, self._generation, list(partitions))
        return dict(self._cursor.fetchall())

    def add(self, increments: Increments) -> None:
        """Rows are taken in one order by everyone, so nobody waits in a circle."""
        cells = sorted(increments.cells.items())
        if cells:
            _ADD.run(
                self._cursor,
                self._generation,
                [_moment(cell.start) for cell, _ in cells],
                [cell.product for cell, _ in cells],
                [cell.status.value for cell, _ in cells],
                [tally.orders for _, tally in cells],
                [tally.quantity for _, tally in cells],
                [tally.late for _, tally in cells],
            )
        clocks = sorted(increments.clocks.items())
        _SET_CLOCKS.run(
            self._cursor,
            self._generation,
            [number for number, _ in clocks],
            [at for _, at in clocks],
        )


class PostgresStatistics:
    """What the API needs. Each question is one statement: it sees one generation, and all of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counted_up_to(self) -> datetime | None:
        """The latest time that was counted."""
        with self._database.statement() as cursor:
            cursor.execute(f"SELECT max(latest) FROM stats_clock WHERE generation = {_LIVE}")  # noqa: S608
            latest: datetime | None = _only(cursor)
        return latest

    def panes(self, windows: Windows, product: str | None, most: int) -> dict[Cell, Tally]:
        """What the windows are made of."""
        narrowed = "AND product = %(product)s" if product else ""
        with self._database.statement() as cursor:
            cursor.execute(
                "SELECT floor(extract(epoch FROM date_bin(%(pane)s, bucket, %(epoch)s)) / 60)::int,"  # noqa: S608
                " product, status, sum(orders)::bigint, sum(quantity)::bigint, sum(late)::bigint"
                f" FROM stats_bucket WHERE generation = {_LIVE} {narrowed}"
                " AND bucket >= to_timestamp(%(begin)s) AND bucket < to_timestamp(%(end)s)"
                " GROUP BY 1, 2, 3 LIMIT %(limit)s",
                {
                    "pane": windows.pane * BUCKET,
                    "epoch": EPOCH,
                    "begin": _seconds(windows.first),
                    "end": _seconds(windows.end),
                    "product": product,
                    "limit": most + 1,
                },
            )
            rows = cursor.fetchall()
        if len(rows) > most:
            raise TooMuch(f"More than {most} counts lie there: name a product or narrow the range.")
        return {
            Cell(start, name, Status(status)): Tally(*sums) for start, name, status, *sums in rows
        }


class PostgresGenerations:
    """What a rebuild needs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether there is no other rebuild, and none begins while the block lasts."""
        with self._database.statement() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtext('stats-rebuild'))")
            mine: bool = _only(cursor)
            yield mine
            if mine:
                cursor.execute("SELECT pg_advisory_unlock(hashtext('stats-rebuild'))")

    def begin(self) -> int:
        """A new generation, or the one that was left half built."""
        with self._database.transaction() as cursor:
            cursor.execute("SELECT max(generation) FROM stats_generation WHERE NOT live")
            generation: int | None = _only(cursor)
            if generation is None:
                cursor.execute("INSERT INTO stats_generation DEFAULT VALUES RETURNING generation")
                generation = int(_only(cursor))
        return generation

    def switch(self, cursor: Cursor, generation: int) -> None:
        """From the end of this transaction on readers see this generation; the old one is over."""
        cursor.execute("DELETE FROM stats_generation WHERE live")
        cursor.execute(
            "UPDATE stats_generation SET live = true WHERE generation = %s", [generation]
        )

    def sweep(self) -> int:
        """Remove older generations, a little at a time; answers how many rows."""
        return sum(self._sweep(table) for table in ("stats_bucket", "stats_counted", "stats_clock"))

    def _sweep(self, table: str) -> int:
        swept = 0
        while True:
            with self._database.statement() as cursor:
                cursor.execute(
                    f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table}"  # noqa: S608
                    f" WHERE generation < {_LIVE}"
                    " LIMIT %s))",
                    [_SWEPT_AT_ONCE],
                )
                swept += cursor.rowcount
                if cursor.rowcount < _SWEPT_AT_ONCE:
                    return swept


def _moment(bucket: int) -> datetime:
    return EPOCH + bucket * BUCKET


def _seconds(bucket: int) -> int:
    return bucket * (BUCKET // timedelta(seconds=1))


def _only(cursor: Cursor) -> Any:
    row = cursor.fetchone()
    assert row is not None  # noqa: S101  # an aggregate, or a row that is always there
    return row[0]
