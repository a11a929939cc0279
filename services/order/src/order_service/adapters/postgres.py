"""Orders in Postgres; every change and its outbox row are one statement or one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus import outbox
from eventbus.database import RECORD_ERRORS, Database
from eventbus.grouping import Grouped
from eventbus.statements import Statement
from order_service.domain import Order, Status, Verdict
from order_service.messages import OrderQuery, announce
from order_service.relay import reserve_command

_COLUMNS = "order_id, product, quantity, customer_email, created_at, status, reason, version"

# One round trip for orders and their announcements. Keys are locked in one order (the caller's), so
# that two such statements never wait for each other in a circle.
_PLACE = Statement(
    "place_orders",
    ["uuid[]", "text[]", "int[]", "text[]", "timestamptz[]", *["text[]"] * 4, "text", "text"],
    """
WITH asked AS (
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9)
    AS a (order_id, product, quantity, customer_email, created_at, idempotency_key, event_id, data,
          traceparent)
), placed AS (
    INSERT INTO orders (order_id, product, quantity, customer_email, created_at, status, version,
                        idempotency_key)
    SELECT order_id, product, quantity, customer_email, created_at, 'PENDING', 1, idempotency_key
    FROM asked
    ON CONFLICT (idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING order_id
), announced AS (
    INSERT INTO outbox (topic, key, type, event_id, subject, data, traceparent)
    SELECT $10, order_id::text, $11, event_id, order_id::text, data, traceparent
    FROM asked JOIN placed USING (order_id)
)
SELECT order_id FROM placed
""",
)
# What an order must be is a parameter: written out, it led Postgres to the index of waiting orders,
# which is full of those that waited a moment ago.
_SETTLE = Statement(
    "settle_orders",
    ["uuid[]", "text[]", "text[]", "text"],
    "UPDATE orders AS o SET status = v.status, reason = v.reason, version = o.version + 1"
    " FROM unnest($1, $2, $3) AS v (order_id, status, reason)"
    " WHERE o.order_id = v.order_id AND o.status = $4"
    " RETURNING o.order_id, o.product, o.quantity, o.customer_email, o.created_at, o.status,"
    " o.reason, o.version",
)


@dataclass(frozen=True, slots=True)
class _Placement:
    """One order on its way into the table."""

    order: Order
    key: str | None
    traceparent: str | None


def to_order(row: tuple[Any, ...]) -> Order:
    """A row of `_COLUMNS` as an order."""
    order_id, product, quantity, email, created_at, status, reason, version = row
    return Order(order_id, product, quantity, email, created_at, Status(status), reason, version)


class PostgresOrders:
    """What the API needs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._grouped = Grouped(self._place_all, lambda error: isinstance(error, RECORD_ERRORS))

    def place(self, order: Order, key: str | None, traceparent: str | None) -> bool:
        """One statement and one commit, shared with whoever places an order at the same time."""
        return self._grouped(_Placement(order, key, traceparent))

    def _place_all(self, placements: Sequence[_Placement]) -> list[bool]:
        ordered = sorted(placements, key=lambda placement: placement.key or "")
        orders = [placement.order for placement in ordered]
        events = [announce(placement.order, placement.traceparent) for placement in ordered]
        with self._database.statement() as cursor:
            _PLACE.run(
                cursor,
                [order.id for order in orders],
                [order.product for order in orders],
                [order.quantity for order in orders],
                [order.customer_email for order in orders],
                [order.created_at for order in orders],
                [placement.key for placement in ordered],
                [event.event_id for event in events],
                [event.data for event in events],
                [event.traceparent for event in events],
                events[0].topic,
                events[0].type,
            )
            placed = {row[0] for row in cursor.fetchall()}
        return [placement.order.id in placed for placement in placements]

    def by_key(self, key: str) -> Order | None:
        """The order that was placed under a key."""
        return self._one("idempotency_key = %s", key)

    def get(self, order_id: str) -> Order | None:
        """One order."""
        return self._one("order_id = %s", order_id)

    def _one(self, condition: str, value: str) -> Order | None:
        with self._database.statement() as cursor:
            cursor.execute(f"SELECT {_COLUMNS} FROM orders WHERE {condition}", [value])  # noqa: S608
            row = cursor.fetchone()
        return to_order(row) if row else None

    def replace(self, order: Order, traceparent: str | None) -> bool:
        """Guarded by the version: of two writers one wins, the other looks again."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "UPDATE orders SET status = %s, reason = %s, version = %s"
                " WHERE order_id = %s AND version = %s",
                [order.status, order.reason, order.version, order.id, order.version - 1],
            )
            if cursor.rowcount != 1:
                return False
            outbox.append(cursor, [announce(order, traceparent)])
        return True

    def page(self, query: OrderQuery) -> list[Order]:
        """The newest first: ids are ordered by time, so the id is the cursor."""
        filters = {
            "status": query.status,
            "product": query.product,
            "customer_email": query.customerEmail,
        }
        conditions = [f"{column} = %({column})s" for column, value in filters.items() if value]
        if query.after:
            conditions.append("order_id < %(after)s")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        with self._database.statement() as cursor:
            cursor.execute(
                f"SELECT {_COLUMNS} FROM orders {where}"  # noqa: S608  # column names are ours
                " ORDER BY order_id DESC LIMIT %(limit)s",
                {**filters, "after": query.after and str(query.after), "limit": query.limit},
            )
            return [to_order(row) for row in cursor]

    def events_of(self, order_id: str) -> list[tuple[Any, ...]]:
        """What was published about one order."""
        with self._database.statement() as cursor:
            cursor.execute(
                "SELECT position, event_id, type, created_at, data FROM event_log"
                " WHERE subject = %s ORDER BY position",
                [order_id],
            )
            return cursor.fetchall()

    def events_after(self, position: int, limit: int) -> list[tuple[Any, ...]]:
        """What was published after a position; written by one relay, so no gap fills later."""
        with self._database.statement() as cursor:
            cursor.execute(
                "SELECT position, event_id, type, created_at, data FROM event_log"
                " WHERE position > %s ORDER BY position LIMIT %s",
                [position, limit],
            )
            return cursor.fetchall()


class PostgresPendingOrders:
    """What the consumer needs, inside a batch's transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def settle(self, verdicts: Sequence[Verdict]) -> int:
        """The guard on PENDING makes a repeated verdict, or one too late, do nothing."""
        _SETTLE.run(
            self._cursor,
            [verdict.order_id for verdict in verdicts],
            [verdict.status.value for verdict in verdicts],
            [verdict.reason for verdict in verdicts],
            Status.PENDING.value,
        )
        settled = [to_order(row) for row in self._cursor.fetchall()]
        traces = {verdict.order_id: verdict.traceparent for verdict in verdicts}
        outbox.append(self._cursor, [announce(order, traces[order.id]) for order in settled])
        return len(settled)


class PostgresWaitingOrders:
    """What the sweeper needs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remind(self, older_than: timedelta, limit: int) -> int:
        """Tell OrderPlaced's command once more; stock remembers what it decided."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "UPDATE orders SET reminded_at = now() WHERE order_id = ANY(ARRAY("  # noqa: S608
                " SELECT order_id FROM orders WHERE status = 'PENDING'"
                " AND created_at < now() - %s"
                " AND (reminded_at IS NULL OR reminded_at < now() - %s)"
                " ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED))"
                f" RETURNING {_COLUMNS}",
                [older_than, older_than, limit],
            )
            orders = [to_order(row) for row in cursor.fetchall()]
            outbox.append(cursor, [reserve_command(order) for order in orders])
        return len(orders)

    def expire(self, older_than: timedelta, reason: str, limit: int) -> int:
        """Cancel with one announcement each."""
        with self._database.transaction() as cursor:
            cursor.execute(
                "UPDATE orders SET status = 'CANCELLED', reason = %s, version = version + 1"  # noqa: S608
                " WHERE order_id = ANY(ARRAY("
                " SELECT order_id FROM orders WHERE status = 'PENDING'"
                " AND created_at < now() - %s"
                " ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED))"
                f" RETURNING {_COLUMNS}",
                [reason, older_than, limit],
            )
            orders = [to_order(row) for row in cursor.fetchall()]
            outbox.append(cursor, [announce(order, None) for order in orders])
        return len(orders)
