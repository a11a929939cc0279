"""Dead letters can be sent again, with the key that they had."""

from alembic import op

from eventbus.schema import REDRIVE_V2

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Two columns without a default: an old version goes on beside them."""
    op.execute(REDRIVE_V2)
