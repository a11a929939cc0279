"""The HTTP side: one question, and what a process needs to answer it."""

from eventbus.command import Context
from eventbus.database import Database
from eventbus.web.api import Api
from eventbus.web.auth import build_guard
from eventbus.web.operations import Answer, Operation
from eventbus.web.probes import add_probes
from eventbus.web.problems import Problem
from eventbus.web.server import Served
from loyalty_service.messages import BalanceAnswer

PREFIX = "/api/v1/loyalty"


class Balances:
    """The operations, bound to the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, customer: str) -> Answer:
        """What one customer has."""
        with self._database.statement() as cursor:
            cursor.execute(
                "SELECT sum(points), count(*) FROM points WHERE customer = %s HAVING count(*) > 0",
                [customer.replace("\0", "")],
            )
            row = cursor.fetchone()
        if row is None:
            raise Problem(404, "This customer has no points yet.")
        return Answer({"customer": customer, "points": row[0], "orders": row[1]})


def build_api(context: Context) -> Served:
    """Called in each process, after the fork."""
    database = Database(context.settings.database_url, context.settings.threads, "loyalty-api")
    api = Api("Loyalty", PREFIX, context.tracing, build_guard(context.settings))
    balance = Operation("GET", "/<customer>", "A customer's points", BalanceAnswer)
    api.add(balance, Balances(database).get)

    def close() -> None:
        database.close()
        context.tracing.close()

    served = Served(api.complete(), close)
    add_probes(api.flask, database.is_reachable, served.draining.is_set)
    return served
