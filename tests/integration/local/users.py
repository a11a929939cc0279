"""Users that a Vault has made, as the PostgreSQL beside it sees them."""

import psycopg2

from contracts.vault import LetsIn
from eventpipeline_operator.adapters.local.backing.postgres import PostgresServer, connect
from eventpipeline_operator.reconcile.ports import Issued


class Users(LetsIn):
    """Logs in to the server as them."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def url(self, issued: Issued) -> str:
        login = f"{issued.values['username']}:{issued.values['password']}"
        return f"postgresql://{login}@{self._server.address}/shop"

    def __call__(self, issued: Issued) -> bool:
        try:
            psycopg2.connect(self.url(issued)).close()
        except psycopg2.OperationalError:
            return False
        return True

    def names(self) -> list[str]:
        with connect(self._server.url("shop")).cursor() as cursor:
            cursor.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'")
            return [name for (name,) in cursor.fetchall()]
