"""Where failpoints sit: the public seams of eventbus and of the services' adapters, wrapped.

Point names are `<service>.<worker>.<moment>`; the table in `MOMENTS` says what each moment is. A
process gets the failpoints of its own role only, so that it loads nothing that it would not.
"""

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from faults.failpoints import Action, Failpoints

MOMENTS = MappingProxyType(
    {
        "asked": "an API has read the request, nothing is stored",
        "stored": "an API has committed, the client has no answer",
        "taken": "a relay has deleted rows, nothing is published or committed",
        "published": "Kafka has confirmed every record, the deletion is not committed",
        "cleared": "the deletion is committed",
        "received": "a consumer has a batch in hand, its transaction has not begun",
        "handled": "every effect is written, nothing is committed",
        "committed": "effect and offset are committed, Kafka has not been told",
        "polled": "a consumer is about to ask for records",
        "claimed": "a sender has a mail in hand, the server has not seen it",
        "accepted": "the server said 250, the ledger does not know",
        "recorded": "the ledger knows",
        "swept": "the sweeper has looked after waiting orders",
    }
)

Reach = Callable[[str], Action | None]


def install(service: str, worker: str, failpoints: Failpoints) -> None:
    """Wrap the seams of one process before it starts."""

    def reach(moment: str) -> Action | None:
        return failpoints.reach(f"{service}.{worker}.{moment}")

    install_role = _ROLES.get((service, worker)) or _ROLES.get(("", worker))
    if install_role is not None:
        install_role(reach)


def _seam(path: str) -> Any:
    """`package.module:Class` → the class."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _surround(owner: Any, method: str, reach: Reach, before: str, after: str) -> None:
    original = getattr(owner, method)

    @functools.wraps(original)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        reach(before)
        result = original(*arguments, **named)
        reach(after)
        return result

    setattr(owner, method, wrapped)


def _order_api(reach: Reach) -> None:
    _surround(
        _seam("order_service.adapters.postgres:PostgresOrders"), "place", reach, "asked", "stored"
    )


def _stock_api(reach: Reach) -> None:
    _surround(
        _seam("stock_service.adapters.postgres:PostgresStock"), "add", reach, "asked", "stored"
    )


def _sweeper(reach: Reach) -> None:
    waiting = _seam("order_service.adapters.postgres:PostgresWaitingOrders")
    _surround(waiting, "remind", reach, "asked", "swept")


def _sender(reach: Reach) -> None:
    mailer = _seam("email_service.adapters.smtp:SmtpMailer")
    _surround(mailer, "offer", reach, "claimed", "offered")
    _surround(mailer, "result", reach, "awaited", "accepted")
    ledger = _seam("email_service.adapters.postgres:PostgresLedger")
    _surround(ledger, "note", reach, "noted", "recorded")


def _relay(reach: Reach) -> None:
    outbox = _seam("eventbus.outbox:PostgresOutbox")
    failed = _seam("eventbus.errors:PublishFailed")
    original = outbox.batch

    @contextmanager
    def batch(self: Any, limit: int) -> Iterator[Any]:
        with original(self, limit) as rows:
            if rows:
                reach("taken")
            yield rows
            if rows and reach("published") is Action.FAIL:
                raise failed("the confirmation was lost, as ordered")
        if rows:
            reach("cleared")

    outbox.batch = batch


def _consumer(reach: Reach) -> None:
    inbox = _seam("eventbus.inbox:PostgresInbox")
    original_transaction = inbox.transaction

    @contextmanager
    def transaction(self: Any) -> Iterator[Any]:
        reach("received")
        with original_transaction(self) as opened:
            yield opened
            reach("handled")
        reach("committed")

    inbox.transaction = transaction
    consumer = _seam("eventbus.kafka_consumer:KafkaConsumer")
    original_poll = consumer.poll

    @functools.wraps(original_poll)
    def poll(self: Any, timeout: float, limit: int) -> Any:
        if reach("polled") is Action.REWIND:
            for partition in list(self._assigned.values()):
                self.rewind(partition, 0)
        return original_poll(self, timeout, limit)

    consumer.poll = poll


_ROLES: dict[tuple[str, str], Callable[[Reach], None]] = {
    ("order", "api"): _order_api,
    ("stock", "api"): _stock_api,
    ("order", "sweeper"): _sweeper,
    ("email", "sender"): _sender,
    ("order", "stats"): _consumer,
    ("", "relay"): _relay,
    ("", "consumer"): _consumer,
}
