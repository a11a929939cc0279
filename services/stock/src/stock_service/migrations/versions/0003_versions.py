"""A version per product: copies of a row can be told apart by their age."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """A constant default rewrites no row; an old version changes rows without raising it."""
    op.execute("ALTER TABLE stock ADD COLUMN version bigint NOT NULL DEFAULT 0")
