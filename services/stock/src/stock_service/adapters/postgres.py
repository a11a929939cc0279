"""Stock and reservations in Postgres. Every writer locks products in the order of their names."""

from collections.abc import Collection, Sequence

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from eventbus import outbox
from eventbus.database import Database
from eventbus.identity import new_id
from eventbus.statements import Statement
from stock_service.caching import Level
from stock_service.domain import Decisions, Reservation, State
from stock_service.messages import announce

_LEVEL = "stock_id, product, quantity, version"

_LOCK = Statement(
    "lock_products",
    ["text[]"],
    "SELECT product, quantity FROM stock WHERE product = ANY($1) ORDER BY product FOR UPDATE",
)
_RESERVATIONS = Statement(
    "read_reservations",
    ["uuid[]"],
    "SELECT order_id, product, quantity, state, reason FROM reservation WHERE order_id = ANY($1)",
)
_SET = Statement(
    "set_stock",
    ["text[]", "bigint[]"],
    "UPDATE stock AS s SET quantity = v.quantity, version = s.version + 1"
    " FROM unnest($1, $2) AS v (name, quantity)"
    " WHERE s.product = v.name RETURNING s.stock_id, s.product, s.quantity, s.version",
)
_RESERVE = Statement(
    "write_reservations",
    ["uuid[]", "text[]", "int[]", "text[]", "text[]"],
    "INSERT INTO reservation (order_id, product, quantity, state, reason)"
    " SELECT * FROM unnest($1, $2, $3, $4, $5)"
    " ON CONFLICT (order_id) DO UPDATE"
    " SET state = excluded.state, reason = excluded.reason, changed_at = now()",
)


class PostgresShelf:
    """What the consumer needs, inside a batch's transaction."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def lock(self, products: Collection[str]) -> dict[str, int]:
        """Rows of a product are taken in one order by everyone, so nobody waits in a circle."""
        _LOCK.run(self._cursor, list(products))
        return dict(self._cursor.fetchall())

    def reservations(self, order_ids: Collection[str]) -> dict[str, Reservation]:
        """By primary key."""
        _RESERVATIONS.run(self._cursor, list(order_ids))
        return {
            row[0]: Reservation(row[0], row[1], row[2], State(row[3]), row[4])
            for row in self._cursor.fetchall()
        }

    def write(self, decisions: Decisions) -> Sequence[Level]:
        """One statement each for stock, reservations and announcements."""
        levels = []
        if decisions.stock:
            _SET.run(self._cursor, list(decisions.stock.keys()), list(decisions.stock.values()))
            levels = [Level(*row) for row in self._cursor.fetchall()]
        if decisions.reservations:
            made = list(decisions.reservations.values())
            _RESERVE.run(
                self._cursor,
                [reservation.order_id for reservation in made],
                [reservation.product for reservation in made],
                [reservation.quantity for reservation in made],
                [reservation.state.value for reservation in made],
                [reservation.reason for reservation in made],
            )
        outbox.append(self._cursor, [announce(reply) for reply in decisions.replies])
        return levels


class PostgresStock:
    """What the API needs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, product: str, quantity: int) -> Level:
        """An unknown product begins with exactly what is added."""
        with self._database.statement() as cursor:
            cursor.execute(
                "INSERT INTO stock (stock_id, product, quantity) VALUES (%s, %s, %s)"  # noqa: S608
                " ON CONFLICT (product) DO UPDATE"
                " SET quantity = stock.quantity + excluded.quantity, version = stock.version + 1"
                f" RETURNING {_LEVEL}",
                [new_id(), product, quantity],
            )
            return Level(*cursor.fetchall()[0])

    def reduce(self, product: str, quantity: int) -> Level | None:
        """What is left; None if there is not enough or no such product."""
        with self._database.statement() as cursor:
            cursor.execute(
                "UPDATE stock SET quantity = quantity - %(quantity)s, version = version + 1"  # noqa: S608
                " WHERE product = %(product)s AND quantity >= %(quantity)s"
                f" RETURNING {_LEVEL}",
                {"product": product, "quantity": quantity},
            )
            row = cursor.fetchone()
        return Level(*row) if row else None

    def get(self, product: str) -> Level | None:
        """What is left."""
        with self._database.statement() as cursor:
            cursor.execute(f"SELECT {_LEVEL} FROM stock WHERE product = %s", [product])  # noqa: S608
            row = cursor.fetchone()
        return Level(*row) if row else None

    def page(self, after: str | None, limit: int) -> list[Level]:
        """By name."""
        with self._database.statement() as cursor:
            cursor.execute(
                f"SELECT {_LEVEL} FROM stock"  # noqa: S608
                " WHERE product > %s ORDER BY product LIMIT %s",
                [after or "", limit],
            )
            return [Level(*row) for row in cursor]
