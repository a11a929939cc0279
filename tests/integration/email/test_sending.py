"""The mail ledger in real Postgres, and senders towards a real SMTP server."""

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from email_service.adapters.postgres import PostgresIntents, PostgresLedger
from email_service.config import EmailSettings
from email_service.domain import Letter, Mail, Outcome, Template, dedupe_key
from email_service.sender import Sender
from eventbus.database import Database
from eventbus.identity import new_id
from eventbus.migrations import migrate
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing
from servers.local import REPOSITORY
from servers.postgres import PostgresServer
from servers.waiting import wait_for
from shop.mailbox import Mailbox


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    url = postgres.create_database("email")
    migrate(REPOSITORY / "services/email/src/email_service/migrations", {"DATABASE_URL": url})
    return url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url, 8)
    yield database
    database.close()


@pytest.fixture
def ledger(database: Database) -> PostgresLedger:
    return PostgresLedger(database, lease=120)


@pytest.fixture(params=[False, True], ids=["one by one", "pipelined"])
def mailbox(request: pytest.FixtureRequest) -> Iterator[Mailbox]:
    box = Mailbox(pipelining=request.param)
    box.start()
    yield box
    box.stop()


@pytest.fixture
def sending(url: str, mailbox: Mailbox) -> Iterator[None]:
    """A sender at work, as in the `send` process."""
    environ = {"DATABASE_URL": url, "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mailbox.port)}
    stop = threading.Event()
    sender = Sender(EmailSettings.from_env(environ), Tracing(None, 0))
    thread = threading.Thread(target=sender.run, args=(stop, Heartbeat()))
    thread.start()
    yield
    stop.set()
    thread.join()


def letter(order_id: str | None = None) -> Letter:
    order_id = order_id or new_id()
    key = dedupe_key(order_id, Template.CONFIRMED)
    recipient = f"{secrets.token_hex(4)}@example.com"
    return Letter(new_id(), order_id, Template.CONFIRMED, key, recipient, "book", 1, None, None)


def note(database: Database, *letters: Letter) -> int:
    with database.transaction() as cursor:
        return PostgresIntents(cursor, "shop@example.com").note(letters)


def row(database: Database, mail: Letter) -> tuple[Any, ...]:
    with database.statement() as cursor:
        cursor.execute("SELECT state, attempts, last_error FROM mail WHERE mail_id = %s", [mail.id])
        found = cursor.fetchone()
    assert found is not None
    return found


def make_due(database: Database) -> None:
    """Let waiting times and leases be over."""
    with database.statement() as cursor:
        cursor.execute("UPDATE mail SET due_at = now() - interval '1 second'")


def test_one_order_and_template_is_one_mail(database: Database) -> None:
    first = letter()
    assert note(database, first, letter(first.order_id)) == 1
    assert note(database, letter(first.order_id)) == 0


def test_a_mail_is_claimed_by_one_sender(database: Database, ledger: PostgresLedger) -> None:
    note(database, *[letter() for _ in range(40)])
    with ThreadPoolExecutor(8) as pool:
        claimed = [
            mail.id for mails in pool.map(lambda _: ledger.claim(7), range(8)) for mail in mails
        ]
    assert len(claimed) == len(set(claimed)) == 40


def test_the_mail_of_a_dead_sender_is_claimed_again(
    database: Database, ledger: PostgresLedger
) -> None:
    note(database, letter())
    (lost,) = ledger.claim(1)
    assert ledger.claim(1) == []
    make_due(database)
    (again,) = ledger.claim(1)
    assert (again.id, again.attempts) == (lost.id, 2)


def test_a_sender_whose_lease_ran_out_has_nothing_to_say(
    database: Database, ledger: PostgresLedger
) -> None:
    mail = letter()
    note(database, mail)
    (slow,) = ledger.claim(1)
    make_due(database)
    (quick,) = ledger.claim(1)
    ledger.note([Outcome(slow, "late news")])
    assert row(database, mail)[0] == "SENDING"
    ledger.note([Outcome(quick)])
    assert row(database, mail) == ("SENT", 2, None)


def test_outcomes_are_noted_together_each_as_it_was(
    database: Database, ledger: PostgresLedger
) -> None:
    letters = [letter() for _ in range(3)]
    note(database, *letters)
    claimed = {mail.id: mail for mail in ledger.claim(3)}
    taken, later, refused = (claimed[one.id] for one in letters)
    ledger.note([Outcome(taken), Outcome(later, "451 busy", 60.0), Outcome(refused, "550 no")])
    assert [row(database, one) for one in letters] == [
        ("SENT", 1, None),
        ("QUEUED", 1, "451 busy"),
        ("DEAD", 1, "550 no"),
    ]
    assert ledger.claim(3) == []


@pytest.mark.usefixtures("sending")
def test_what_is_noted_is_sent_once(database: Database, mailbox: Mailbox) -> None:
    letters = [letter() for _ in range(50)]
    note(database, *letters)
    wait_for("all mails", lambda: all(row(database, one)[0] == "SENT" for one in letters))
    assert all(len(mailbox.to(one.recipient)) == 1 for one in letters)
    ids = {mail["Message-ID"] for mail in mailbox.mails}
    assert ids == {f"<{one.id}@example.com>" for one in letters}


@pytest.mark.usefixtures("sending")
def test_a_busy_server_is_tried_again_and_the_mail_keeps_its_id(
    database: Database, mailbox: Mailbox
) -> None:
    mailbox.answer = "451 busy"
    mail = letter()
    note(database, mail)
    wait_for("a failure", lambda: row(database, mail)[2] == "451 busy")
    mailbox.answer = "250 kept"
    make_due(database)
    wait_for("the mail", lambda: row(database, mail)[0] == "SENT")
    assert [m["Message-ID"] for m in mailbox.mails] == [f"<{mail.id}@example.com>"]


@pytest.mark.usefixtures("sending")
def test_a_refused_mail_is_dead_until_somebody_asks_again(
    database: Database, ledger: PostgresLedger, mailbox: Mailbox
) -> None:
    mailbox.answer = "550 never heard of"
    mail = letter()
    note(database, mail)
    wait_for("the end", lambda: row(database, mail)[0] == "DEAD")
    mailbox.answer = "250 kept"
    assert ledger.requeue(mail.id)
    wait_for("the mail", lambda: row(database, mail)[0] == "SENT")


def test_a_mail_by_hand_is_claimed_by_who_made_it(
    database: Database, ledger: PostgresLedger
) -> None:
    mail: Mail = ledger.create_claimed(letter(), "shop@example.com")
    assert ledger.claim(10) == []
    ledger.note([Outcome(mail)])
    with database.statement() as cursor:
        cursor.execute("SELECT count(*) FROM mail WHERE state = 'SENT'")
        assert cursor.fetchone() == (1,)
