"""Carries out faults, one at a time, and heals each before the next.

Every function answers whether the fault took place: a failpoint that nobody passed in time, or a
disk that Postgres did not touch while it was full, does not count. A sleep here is how long a fault
lasts, never a way to wait for something: that is `_within_reach`.
"""

import contextlib
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import confluent_kafka
import psycopg2

from faults.failpoints import Action, Failpoints, armed
from faults.fleet import Fleet
from faults.history import Journal, Poison
from faults.layout import LEASE_SECONDS, topic
from faults.mailsink import Mood
from faults.plan import Fault
from faults.proxy import Proxy
from faults.stack import SESSION_SECONDS, Stack
from servers.waiting import wait_for

_REACHED_SECONDS = 12.0
_STANDBY_SECONDS = 2.0  # in which the other relay takes over and publishes
_SLOW_SECONDS = 2.5
_BACK_AT_MOST = 5_000

Seen = TypeVar("Seen")


@dataclass(frozen=True)
class Field:
    """Everything that a fault can be aimed at."""

    stack: Stack
    fleet: Fleet
    failpoints: Failpoints
    poisons: Journal


def strike(fault: Fault, field: Field) -> tuple[bool, str]:
    """Carry one fault out; answers whether it took place, and a note about it."""
    kind, _, target = fault.kind.partition(" ")
    if kind == "kill":
        return _kill(field, target, fault.variant)
    return _KINDS[fault.kind](field, fault)


def _kill(field: Field, role: str, moment: str) -> tuple[bool, str]:
    if moment == "process":
        chosen = field.fleet.pids(role)[0]
        return field.fleet.kill(chosen), f"pid {chosen}"
    pid = _hit(field, f"{role}.{moment}", Action.KILL)
    return pid is not None, f"pid {pid}"


def _hit(field: Field, point: str, action: Action) -> int | None:
    """Wait until a process reaches the point; its id, None if none did in time."""
    with armed(field.failpoints, point, action):
        fired = _within_reach(lambda: field.failpoints.fired(point))
    if fired is None:
        return None
    field.fleet.expect(fired.pid)
    return fired.pid


def _within_reach(observe: Callable[[], Seen | None]) -> Seen | None:
    """The first truthy observation; None if there is none in time."""
    with contextlib.suppress(AssertionError):
        return wait_for("a fault to be met", observe, seconds=_REACHED_SECONDS, interval=0.02)
    return None


@contextlib.contextmanager
def _frozen(field: Field, point: str) -> Iterator[int | None]:
    """A process that stands still at a point for the length of the block."""
    pid = _hit(field, point, Action.FREEZE)
    try:
        yield pid
    finally:
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _zombie_consumer(field: Field, fault: Fault) -> tuple[bool, str]:
    """Frozen with a batch in hand until the group has given its partitions to someone else."""
    role, _, moment = fault.variant.partition(" ")
    with _frozen(field, f"{role}.{moment}") as pid:
        if pid is not None:
            time.sleep(SESSION_SECONDS + 1.0 + fault.strength)
    return pid is not None, f"pid {pid}"


def _zombie_relay(field: Field, _: Fault) -> tuple[bool, str]:
    """Frozen before it publishes; its session ends, the standby publishes, then it wakes."""
    with _frozen(field, "order.relay.taken") as pid:
        if pid is None:
            return False, "not reached"
        with _database(field, "order") as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE"
                " application_name = 'order-relay' AND state = 'idle in transaction'"
            )
            ended = cursor.fetchone()
        time.sleep(_STANDBY_SECONDS)
    return True, f"pid {pid}, sessions ended: {ended}"


def _frozen_sender(field: Field, fault: Fault) -> tuple[bool, str]:
    """Frozen until its lease is over and another sender has its mails."""
    with _frozen(field, f"email.sender.{fault.variant}") as pid:
        if pid is not None:
            time.sleep(LEASE_SECONDS + 0.5 + fault.strength)
    return pid is not None, f"pid {pid}"


def _postgres_crash(field: Field, fault: Fault) -> tuple[bool, str]:
    field.stack.postgres.stop(immediate=True)
    time.sleep(fault.strength)
    field.stack.postgres.start()
    return True, ""


def _broker_restart(field: Field, fault: Fault) -> tuple[bool, str]:
    field.stack.kafka.stop(kill=fault.variant == "kill")
    field.stack.kafka.start()
    return True, ""


def _reset(name: str) -> Callable[[Field, Fault], tuple[bool, str]]:
    def act(field: Field, _: Fault) -> tuple[bool, str]:
        gate = _gate(field, name)
        count = wait_for(
            f"connections to {name}", lambda: field.stack.edge.run(gate.reset()), seconds=10
        )
        return True, f"{count} connections"

    return act


def _silent(name: str) -> Callable[[Field, Fault], tuple[bool, str]]:
    def act(field: Field, fault: Fault) -> tuple[bool, str]:
        """Nothing answers for a while, then the connections turn out to be dead."""
        gate = _gate(field, name)
        gate.silent = True
        time.sleep(1.0 + fault.strength)
        if fault.variant == "relays die":
            for pid in (*field.fleet.pids("order.relay"), *field.fleet.pids("stock.relay")):
                field.fleet.kill(pid)
        time.sleep(0.5 + fault.strength)
        gate.silent = False
        count = field.stack.edge.run(gate.reset())
        return count > 0, f"{count} connections"

    return act


def _postgres_slow(field: Field, fault: Fault) -> tuple[bool, str]:
    gate = field.stack.gates.postgres
    before = gate.forwarded
    gate.latency = 0.01 + 0.09 * fault.strength
    time.sleep(_SLOW_SECONDS)
    gate.latency = 0.0
    return gate.forwarded > before, f"{gate.forwarded - before} bytes"


def _relay_repeats(field: Field, fault: Fault) -> tuple[bool, str]:
    """Kafka has a batch and the relay does not know: it sends the batch again."""
    pid = _hit(field, f"{fault.variant}.relay.published", Action.FAIL)
    return pid is not None, f"pid {pid}"


def _offsets_to_zero(field: Field, fault: Fault) -> tuple[bool, str]:
    way, _, whose = fault.variant.partition(" ")
    if way == "seek":
        pid = _hit(field, f"{whose}.polled", Action.REWIND)
        return pid is not None, f"pid {pid}"
    with _database(field, whose) as cursor:
        cursor.execute(
            "UPDATE consumer_offset SET next_offset = greatest(0, next_offset - %s)"
            " WHERE next_offset > 0",
            [_BACK_AT_MOST],
        )
        return cursor.rowcount > 0, f"{cursor.rowcount} partitions"


def _mood(mood: Mood) -> Callable[[Field, Fault], tuple[bool, str]]:
    def act(field: Field, fault: Fault) -> tuple[bool, str]:
        sink = field.stack.mail
        before = sink.misbehaved
        sink.delay = 0.5 + 6.0 * fault.strength  # beyond the sender's patience at times
        sink.mood = Mood(fault.variant) if mood is Mood.MUTE else mood
        _within_reach(lambda: sink.misbehaved > before)
        time.sleep(LEASE_SECONDS + 1.0 if mood is Mood.SLOW else 1.0 + fault.strength)
        sink.mood = Mood.KIND
        return sink.misbehaved > before, f"{sink.misbehaved - before} mails"

    return act


def _disk_full(field: Field, fault: Fault) -> tuple[bool, str]:
    stack = field.stack
    before = stack.disk_complaints()
    try:
        stack.fill_disk()
        _within_reach(lambda: stack.disk_complaints() > before)
        time.sleep(fault.strength)
        died = not stack.postgres.is_running
    finally:
        stack.empty_disk()
        stack.revive_postgres()
    return stack.disk_complaints() > before, "Postgres ended" if died else "Postgres went on"


def _poison(field: Field, fault: Fault) -> tuple[bool, str]:
    """Records that nobody can read, each in a partition of its own choosing."""
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": field.stack.kafka.bootstrap_servers,
            "enable.idempotence": True,
            "log_level": 0,
        }
    )

    def report(error: confluent_kafka.KafkaError | None, message: confluent_kafka.Message) -> None:
        if error is None:
            place = (message.topic(), message.partition(), message.offset())
            field.poisons.write(Poison("/".join(map(str, place))))

    name = topic(fault.variant)
    for value, headers in _unusable(_TYPE_OF[fault.variant]):
        marker = f"poison-{uuid.uuid4()}"
        headers["ce_id"] = marker.encode()
        producer.produce(
            name, key=marker, value=value, headers=list(headers.items()), on_delivery=report
        )
    return producer.flush(20) == 0, name


_TYPE_OF = {
    "stock-commands": b"ReserveStock",
    "stock-events": b"StockReserved",
    "orders": b"OrderConfirmed",
}


def _unusable(kind: bytes) -> list[tuple[bytes, dict[str, bytes]]]:
    """Each in a way of its own: no JSON, a broken contract, no CloudEvent, one from the future."""
    proper = {"ce_specversion": b"1.0", "ce_type": kind, "ce_source": b"/poison"}
    data = {"orderID": "not an id", "product": "", "quantity": -1, "customerEmail": "nobody"}
    return [
        (b"\xff\xfe not json", dict(proper)),
        (json.dumps(data).encode(), dict(proper)),
        (b"{}", {}),
        (b"{}", {**proper, "ce_specversion": b"9.9"}),
    ]


def _gate(field: Field, name: str) -> Proxy:
    gate: Proxy = getattr(field.stack.gates, name)
    return gate


@contextlib.contextmanager
def _database(field: Field, service: str) -> Iterator[psycopg2.extensions.cursor]:
    """A way to a database that no fault lies on."""
    url = field.stack.databases[service]
    connection = psycopg2.connect(url, application_name="faults")
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


_KINDS: dict[str, Callable[[Field, Fault], tuple[bool, str]]] = {
    "zombie consumer": _zombie_consumer,
    "zombie relay": _zombie_relay,
    "frozen sender": _frozen_sender,
    "postgres crash": _postgres_crash,
    "broker restart": _broker_restart,
    "postgres reset": _reset("postgres"),
    "postgres silent": _silent("postgres"),
    "postgres slow": _postgres_slow,
    "kafka reset": _reset("kafka"),
    "kafka silent": _silent("kafka"),
    "smtp reset": _reset("smtp"),
    "relay repeats": _relay_repeats,
    "offsets to zero": _offsets_to_zero,
    "smtp slow": _mood(Mood.SLOW),
    "smtp refuses": _mood(Mood.BUSY),
    "smtp drops": _mood(Mood.MUTE),
    "disk full": _disk_full,
    "poison": _poison,
}
