"""Stock and reservations, and the tables that eventbus needs."""

from alembic import op

from eventbus.schema import INBOX_V1, OUTBOX_V1

revision = "0001"
down_revision = None

STOCK = """
CREATE TABLE stock (
    product text COLLATE "C" PRIMARY KEY,
    stock_id uuid NOT NULL,
    quantity bigint NOT NULL CHECK (quantity >= 0)
) WITH (fillfactor = 50);             -- updated in place, again and again

CREATE TABLE reservation (
    order_id uuid PRIMARY KEY,
    product text COLLATE "C" NOT NULL,
    quantity integer NOT NULL,
    state text NOT NULL CHECK (state IN ('RESERVED', 'REFUSED', 'RELEASED')),
    reason text,
    changed_at timestamptz NOT NULL DEFAULT now()
);
"""


def upgrade() -> None:
    """Everything at once: there was nothing before."""
    for statements in (STOCK, OUTBOX_V1, INBOX_V1):
        op.execute(statements)
