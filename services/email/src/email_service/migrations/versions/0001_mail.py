"""The mail ledger, and the tables that eventbus needs."""

from alembic import op

from eventbus.schema import INBOX_V1, OUTBOX_V1

revision = "0001"
down_revision = None

MAIL = """
CREATE TABLE mail (
    mail_id uuid PRIMARY KEY,         -- version 7: ordered by time; also the Message-ID
    dedupe_key text NOT NULL UNIQUE,
    order_id text NOT NULL,
    template text NOT NULL,
    email_from text NOT NULL,
    email_to text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    html text,
    traceparent text,
    state text NOT NULL CHECK (state IN ('QUEUED', 'SENDING', 'SENT', 'DEAD')),
    attempts integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT now(),  -- next attempt, or end of the sender's lease
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

CREATE INDEX mail_due ON mail (due_at) WHERE state IN ('QUEUED', 'SENDING');
"""


def upgrade() -> None:
    """Everything at once: there was nothing before."""
    for statements in (MAIL, OUTBOX_V1, INBOX_V1):
        op.execute(statements)
