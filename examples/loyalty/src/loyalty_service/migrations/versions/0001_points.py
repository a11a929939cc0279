"""Points, and the tables that eventbus needs: its outbox, its positions, its dead letters."""

from alembic import op

from eventbus.schema import INBOX_V1, OUTBOX_V1, REDRIVE_V2

revision = "0001"
down_revision = None

POINTS = """
CREATE TABLE points (
    order_id uuid PRIMARY KEY,        -- what makes granting twice impossible
    customer text NOT NULL,
    points integer NOT NULL,
    granted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX points_customer ON points (customer);
"""


def upgrade() -> None:
    """Everything at once: there was nothing before."""
    for statements in (POINTS, OUTBOX_V1, INBOX_V1, REDRIVE_V2):
        op.execute(statements)
