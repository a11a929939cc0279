"""The mail ledger in Postgres: claims by `SKIP LOCKED` and lease, no transaction during SMTP."""

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812

from email_service.domain import Letter, Mail, Outcome, State, Template
from email_service.messages import MailQuery
from email_service.rendering import render
from eventbus.database import Database
from eventbus.statements import Statement

_COLUMNS = "mail_id, template, email_to, subject, body, html, attempts, created_at, traceparent"

_INSERT = Statement(
    "insert_mails",
    ["text", "int", "float8", "uuid[]", *["text[]"] * 9],
    "INSERT INTO mail (mail_id, dedupe_key, order_id, template, email_from, email_to, subject,"  # noqa: S608
    " body, html, traceparent, state, attempts, due_at)"
    " SELECT v.*, $1, $2, now() + make_interval(secs => $3)"
    " FROM unnest($4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS v"
    f" ON CONFLICT (dedupe_key) DO NOTHING RETURNING {_COLUMNS}",
)
_CLAIM = Statement(
    "claim_mails",
    ["float8", "int"],
    "UPDATE mail SET state = 'SENDING', attempts = attempts + 1,"  # noqa: S608
    " due_at = now() + make_interval(secs => $1)"
    " WHERE mail_id = ANY(ARRAY(SELECT mail_id FROM mail"
    " WHERE state IN ('QUEUED', 'SENDING') AND due_at <= now()"
    f" ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING {_COLUMNS}",
)
# What a mail must be is a parameter: written out, it led Postgres to the index of mails that are
# due, which is full of those that were due a moment ago.
_NOTE = Statement(
    "note_outcomes",
    ["uuid[]", "int[]", "text[]", "text[]", "float8[]", "text"],
    "UPDATE mail AS m SET state = v.state, last_error = v.cause,"
    " sent_at = CASE v.state WHEN 'SENT' THEN now() ELSE m.sent_at END,"
    " due_at = coalesce(now() + make_interval(secs => v.retry_in), m.due_at)"
    " FROM unnest($1, $2, $3, $4, $5) AS v (mail_id, attempts, state, cause, retry_in)"
    " WHERE m.mail_id = v.mail_id AND m.attempts = v.attempts AND m.state = $6",
)


def _to_mail(row: tuple[Any, ...]) -> Mail:
    return Mail(row[0], Template(row[1]), *row[2:])


def insert(
    cursor: Cursor, letters: Sequence[Letter], sender: str, lease: float | None = None
) -> list[Mail]:
    """Render and store; a letter whose key is known is left out. With a lease they are claimed."""
    rendered = [render(letter) for letter in letters]
    state = State.QUEUED if lease is None else State.SENDING
    _INSERT.run(
        cursor,
        state.value,
        int(lease is not None),
        lease or 0.0,
        [letter.id for letter in letters],
        [letter.dedupe_key for letter in letters],
        [letter.order_id for letter in letters],
        [letter.template.value for letter in letters],
        [sender] * len(letters),
        [letter.recipient for letter in letters],
        [subject for subject, _, _ in rendered],
        [body for _, body, _ in rendered],
        [html for _, _, html in rendered],
        [letter.traceparent for letter in letters],
    )
    return [_to_mail(row) for row in cursor.fetchall()]


class PostgresIntents:
    """What the consumer needs, inside a batch's transaction."""

    def __init__(self, cursor: Cursor, sender: str) -> None:
        self._cursor = cursor
        self._sender = sender

    def note(self, letters: Sequence[Letter]) -> int:
        """Keep each once."""
        return len(insert(self._cursor, letters, self._sender))


class PostgresLedger:
    """What senders and the API need."""

    def __init__(self, database: Database, lease: float) -> None:
        self._database = database
        self._lease = lease

    def claim(self, limit: int) -> list[Mail]:
        """Due ones, and those whose sender's lease ran out."""
        with self._database.statement() as cursor:
            _CLAIM.run(cursor, self._lease, limit)
            return [_to_mail(row) for row in cursor.fetchall()]

    def create_claimed(self, letter: Letter, sender: str) -> Mail:
        """A mail that the caller will try at once."""
        with self._database.statement() as cursor:
            return insert(cursor, [letter], sender, self._lease)[0]

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Guarded by the attempt: a sender whose lease ran out has nothing to say any more."""
        with self._database.statement() as cursor:
            _NOTE.run(
                cursor,
                [outcome.mail.id for outcome in outcomes],
                [outcome.mail.attempts for outcome in outcomes],
                [outcome.state.value for outcome in outcomes],
                [outcome.cause for outcome in outcomes],
                [outcome.retry_in for outcome in outcomes],
                State.SENDING.value,
            )

    def page(self, query: MailQuery) -> list[tuple[Any, ...]]:
        """The newest first."""
        after = "AND mail_id < %(after)s" if query.after else ""
        with self._database.statement() as cursor:
            cursor.execute(
                "SELECT mail_id, subject, body, email_from, email_to,"  # noqa: S608
                " coalesce(sent_at, created_at), state FROM mail"
                f" WHERE state = %(state)s {after}"
                " ORDER BY mail_id DESC LIMIT %(limit)s",
                {"state": query.status, "after": str(query.after), "limit": query.limit},
            )
            return cursor.fetchall()

    def get(self, mail_id: str) -> tuple[Any, ...] | None:
        """One mail as it is shown."""
        with self._database.statement() as cursor:
            cursor.execute(
                "SELECT mail_id, subject, body, email_from, email_to,"
                " coalesce(sent_at, created_at), state FROM mail WHERE mail_id = %s",
                [mail_id],
            )
            return cursor.fetchone()

    def requeue(self, mail_id: str) -> bool:
        """Try a mail again that was given up."""
        with self._database.statement() as cursor:
            cursor.execute(
                "UPDATE mail SET state = 'QUEUED', attempts = 0, due_at = now()"
                " WHERE mail_id = %s AND state = 'DEAD'",
                [mail_id],
            )
            return cursor.rowcount == 1
