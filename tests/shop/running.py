"""A shop of one's own on the session's servers, from its topics to its last process."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.kafka import KafkaServer
from servers.postgres import PostgresServer
from shop.confidential import find_in_logs
from shop.mailbox import Mailbox
from shop.processes import CONSUMES, Shop


@contextmanager
def running_shop(
    servers: tuple[PostgresServer, KafkaServer],
    mailbox: Mailbox,
    logs: Path,
    start: Callable[[Shop], None] = Shop.start_all,
    settings: dict[str, str] | None = None,
) -> Iterator[Shop]:
    """Prepared and started; at its end every process must stop cleanly, its log confide nothing."""
    postgres, kafka = servers
    shop = Shop(
        namespace=f"test-{secrets.token_hex(3)}",
        bootstrap_servers=kafka.bootstrap_servers,
        databases={name: postgres.create_database(name) for name in CONSUMES},
        smtp_port=mailbox.port,
        logs=logs,
        settings=settings or {},
    )
    shop.prepare()
    try:
        start(shop)
        yield shop
    finally:
        codes = shop.stop_all()
    assert set(codes.values()) == {0}, codes
    assert find_in_logs(logs) == {}
