"""Orders, and the tables that eventbus needs."""

from alembic import op

from eventbus.schema import EVENT_LOG_V1, INBOX_V1, OUTBOX_V1

revision = "0001"
down_revision = None

ORDERS = """
CREATE TABLE orders (
    order_id uuid PRIMARY KEY,        -- version 7: ordered by time
    product text NOT NULL,
    quantity integer NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
    customer_email text NOT NULL,
    status text NOT NULL CHECK (status IN ('PENDING', 'CONFIRMED', 'REJECTED', 'CANCELLED')),
    reason text,
    version integer NOT NULL,
    idempotency_key text,
    created_at timestamptz NOT NULL,
    reminded_at timestamptz
) WITH (fillfactor = 85);

CREATE UNIQUE INDEX orders_idempotency_key ON orders (idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX orders_waiting ON orders (created_at) WHERE status = 'PENDING';
"""


def upgrade() -> None:
    """Everything at once: there was nothing before."""
    for statements in (ORDERS, OUTBOX_V1, INBOX_V1, EVENT_LOG_V1):
        op.execute(statements)
