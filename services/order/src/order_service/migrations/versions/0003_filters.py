"""The order list's filters find their orders, however many there are."""

from eventbus.migrations import build_index

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Beside readers and writers. Waiting orders are few: `orders_waiting` finds them."""
    build_index("orders_by_status", "orders (status, order_id) WHERE status <> 'PENDING'")
    build_index("orders_by_product", "orders (product, order_id)")
    build_index("orders_by_customer", "orders (customer_email, order_id)")
