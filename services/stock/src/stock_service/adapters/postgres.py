"""Stock and reservations in Postgres. Every writer locks products in the order of their names."""

from collections.abc import Collection
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus import outbox
from eventbus.database import Database
from eventbus.identity import new_id
from stock_service.domain import Decisions, Reservation, State
from stock_service.messages import announce


class PostgresShelf:
    """What the consumer needs, inside a batch's transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def lock(self, products: Collection[str]) -> dict[str, int]:
        """Rows of a product are taken in one order by everyone, so nobody waits in a circle."""
        self._cursor.execute(
            "SELECT product, quantity FROM stock WHERE product = ANY(%s)"
            " ORDER BY product FOR UPDATE",
            [list(products)],
        )
        return dict(self._cursor.fetchall())

    def reservations(self, order_ids: Collection[str]) -> dict[str, Reservation]:
        """By primary key."""
        self._cursor.execute(
            "SELECT order_id, product, quantity, state, reason FROM reservation"
            " WHERE order_id = ANY(%s::uuid[])",
            [list(order_ids)],
        )
        return {
            row[0]: Reservation(row[0], row[1], row[2], State(row[3]), row[4])
            for row in self._cursor.fetchall()
        }

    def write(self, decisions: Decisions) -> None:
        """One statement each for stock, reservations and announcements."""
        if decisions.stock:
            self._cursor.execute(
                "UPDATE stock AS s SET quantity = v.quantity"
                " FROM unnest(%s::text[], %s::bigint[]) AS v (product, quantity)"
                " WHERE s.product = v.product",
                [list(decisions.stock.keys()), list(decisions.stock.values())],
            )
        if decisions.reservations:
            made = list(decisions.reservations.values())
            self._cursor.execute(
                "INSERT INTO reservation (order_id, product, quantity, state, reason)"
                " SELECT * FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::text[], %s::text[])"
                " ON CONFLICT (order_id) DO UPDATE"
                " SET state = excluded.state, reason = excluded.reason, changed_at = now()",
                [
                    [reservation.order_id for reservation in made],
                    [reservation.product for reservation in made],
                    [reservation.quantity for reservation in made],
                    [reservation.state.value for reservation in made],
                    [reservation.reason for reservation in made],
                ],
            )
        outbox.append(self._cursor, [announce(reply) for reply in decisions.replies])


class PostgresStock:
    """What the API needs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, product: str, quantity: int) -> None:
        """An unknown product begins with exactly what is added."""
        with self._database.statement() as cursor:
            cursor.execute(
                "INSERT INTO stock (stock_id, product, quantity) VALUES (%s, %s, %s)"
                " ON CONFLICT (product) DO UPDATE"
                " SET quantity = stock.quantity + excluded.quantity",
                [new_id(), product, quantity],
            )

    def reduce(self, product: str, quantity: int) -> int | None:
        """What is left; None if there is not enough or no such product."""
        with self._database.statement() as cursor:
            cursor.execute(
                "UPDATE stock SET quantity = quantity - %(quantity)s"
                " WHERE product = %(product)s AND quantity >= %(quantity)s RETURNING quantity",
                {"product": product, "quantity": quantity},
            )
            row = cursor.fetchone()
        return None if row is None else int(row[0])

    def get(self, product: str) -> tuple[Any, ...] | None:
        """Id, product and quantity."""
        with self._database.statement() as cursor:
            cursor.execute(
                "SELECT stock_id, product, quantity FROM stock WHERE product = %s", [product]
            )
            return cursor.fetchone()

    def page(self, after: str | None, limit: int) -> list[tuple[Any, ...]]:
        """By name."""
        with self._database.statement() as cursor:
            cursor.execute(
                "SELECT stock_id, product, quantity FROM stock"
                " WHERE product > %s ORDER BY product LIMIT %s",
                [after or "", limit],
            )
            return cursor.fetchall()
