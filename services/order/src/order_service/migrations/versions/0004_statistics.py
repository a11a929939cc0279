"""Order statistics: counts per minute, product and status, in generations."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATISTICS = """
CREATE TABLE stats_generation (
    generation integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    live boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX stats_generation_live ON stats_generation (live) WHERE live;
INSERT INTO stats_generation (live) VALUES (true);

CREATE TABLE stats_bucket (
    generation integer NOT NULL,
    bucket timestamptz NOT NULL,       -- the minute's beginning
    product text NOT NULL,
    status text NOT NULL,
    orders bigint NOT NULL,
    quantity bigint NOT NULL,
    late bigint NOT NULL,              -- of these orders, heard of later than is allowed
    PRIMARY KEY (generation, bucket, product, status)
) WITH (fillfactor = 50);              -- the present minute is written with every batch
CREATE INDEX stats_bucket_product ON stats_bucket (generation, product, bucket);

CREATE TABLE stats_counted (           -- an event that comes again is known here
    generation integer NOT NULL,
    order_id uuid NOT NULL,
    version integer NOT NULL,
    PRIMARY KEY (generation, order_id, version)
);

CREATE TABLE stats_clock (             -- event time, as far as each partition has told it
    generation integer NOT NULL,
    partition integer NOT NULL,
    latest timestamptz NOT NULL,
    PRIMARY KEY (generation, partition)
) WITH (fillfactor = 50);
"""


def upgrade() -> None:
    """New tables alone: an old version goes on beside them."""
    op.execute(STATISTICS)
