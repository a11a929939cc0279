"""The fence and the dead letters in real Postgres."""

import threading
from typing import Any

import pytest

from eventbus.consumer import Partition
from eventbus.database import Database
from eventbus.dlq import list_dead_letters, redrive
from eventbus.envelope import Record
from eventbus.inbox import PostgresInbox, Step
from eventbus.outbox import PostgresOutbox

FIRST = Partition("orders", 0, "id-1")
SECOND = Partition("orders", 1, "id-1")


@pytest.fixture
def inbox(database: Database) -> PostgresInbox:
    return PostgresInbox(database, "group", {"orders": "orders.email.dlq"})


def advance(inbox: PostgresInbox, **steps: tuple[int | None, int]) -> set[Partition]:
    partitions = {"first": FIRST, "second": SECOND}
    with inbox.transaction() as transaction:
        return transaction.advance({partitions[k]: Step(*v) for k, v in steps.items()})


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.statement() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_positions_move_from_where_they_are(inbox: PostgresInbox) -> None:
    assert advance(inbox, first=(None, 5), second=(None, 3)) == {FIRST, SECOND}
    assert advance(inbox, first=(5, 9), second=(3, 4)) == {FIRST, SECOND}
    assert inbox.positions([FIRST, SECOND]) == {FIRST: 9, SECOND: 4}


def test_a_step_from_elsewhere_is_refused_and_the_others_are_not(inbox: PostgresInbox) -> None:
    advance(inbox, first=(None, 5), second=(None, 5))
    assert advance(inbox, first=(4, 9), second=(5, 6)) == {SECOND}
    assert advance(inbox, first=(None, 9)) == set()
    assert inbox.positions([FIRST]) == {FIRST: 5}


def test_another_life_of_the_topic_is_another_history(inbox: PostgresInbox) -> None:
    advance(inbox, first=(None, 5))
    assert inbox.positions([Partition("orders", 0, "id-2")]) == {}


def test_a_failed_transaction_moves_nothing(inbox: PostgresInbox, database: Database) -> None:
    def fail() -> None:
        with inbox.transaction() as transaction:
            transaction.advance({FIRST: Step(None, 5)})
            transaction.cursor.execute("INSERT INTO effect VALUES (1)")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert inbox.positions([FIRST]) == {}
    assert rows(database, "SELECT * FROM effect") == []


@pytest.mark.parametrize("start", [None, 5])
def test_of_two_members_with_one_batch_one_has_an_effect(
    inbox: PostgresInbox, database: Database, start: int | None
) -> None:
    if start is not None:
        advance(inbox, first=(None, start))
    together = threading.Barrier(4)

    def handle() -> None:
        together.wait()
        with inbox.transaction() as transaction:
            if transaction.advance({FIRST: Step(start, 9)}):
                transaction.cursor.execute("INSERT INTO effect VALUES (1)")

    members = [threading.Thread(target=handle) for _ in range(4)]
    for member in members:
        member.start()
    for member in members:
        member.join()
    assert rows(database, "SELECT * FROM effect") == [(1,)]


def test_a_buried_record_keeps_what_came_and_why(inbox: PostgresInbox, database: Database) -> None:
    record = Record("orders", 2, 7, b"\xffkey", b"\x00\xff", (("ce_id", b"\xfe"),))
    with inbox.transaction() as transaction:
        transaction.bury(record, "it cannot be read")
    ((topic, offset, key, value, cause),) = rows(
        database, "SELECT topic, record_offset, key, value, cause FROM dead_letter"
    )
    assert (topic, offset, bytes(key), bytes(value)) == ("orders", 7, b"\xffkey", b"\x00\xff")
    assert cause == "it cannot be read"
    ((topic, raw, raw_key, origin),) = rows(
        database, "SELECT topic, raw, raw_key, event_id FROM outbox"
    )
    assert (topic, bytes(raw), origin) == ("orders.email.dlq", b"\x00\xff", "orders/2/7")
    assert bytes(raw_key) == b"\xffkey"


def test_a_tombstone_can_be_buried(inbox: PostgresInbox, database: Database) -> None:
    with inbox.transaction() as transaction:
        transaction.bury(Record("orders", 0, 1, None, None, ()), "the record has no value")
    assert rows(database, "SELECT raw_key, raw FROM outbox") == [(None, None)]


def test_a_redriven_letter_goes_back_as_it_came_and_once(
    inbox: PostgresInbox, database: Database, database_url: str
) -> None:
    with inbox.transaction() as transaction:
        transaction.bury(Record("x.orders", 0, 1, b"\xff", b"first", (("ce_id", b"1"),)), "why")
        transaction.bury(Record("x.orders", 0, 2, None, b"second", ()), "why")
    assert [letter.origin for letter in list_dead_letters(database)] == [
        "x.orders/0/2",
        "x.orders/0/1",
    ]
    assert redrive(database) == 2
    assert redrive(database) == 0
    queue = PostgresOutbox(database_url, "relay")
    with queue.batch(10) as back:
        assert [(row.topic, row.raw_key, row.raw, row.headers) for row in back] == [
            ("x.orders", b"\xff", b"first", (("ce_id", b"1"),)),
            ("x.orders", None, b"second", ()),
        ]
    queue.close()


def test_a_letter_can_be_chosen_and_sent_again(inbox: PostgresInbox, database: Database) -> None:
    with inbox.transaction() as transaction:
        for offset in range(3):
            transaction.bury(Record("x.orders", 0, offset, None, b"x", ()), "why")
    chosen = list_dead_letters(database)[1].id
    assert redrive(database, [chosen]) == 1
    assert redrive(database, [chosen]) == 1
    assert redrive(database) == 2
