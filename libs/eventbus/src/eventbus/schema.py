"""The tables that eventbus needs in a service's database, executed by its first migration.

Frozen: migrations that ran must mean the same for ever. A change comes as a new constant.
"""

OUTBOX_V1 = """
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic text NOT NULL,          -- logical name; with a dot in it, a Kafka name as it is
    key text NOT NULL,
    type text NOT NULL,
    event_id text NOT NULL,
    subject text NOT NULL,
    data text,                    -- JSON
    raw bytea,                    -- of a dead letter: the value as it came,
    headers jsonb,                -- and its headers [[name, base64], …]
    traceparent text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (
    -- A queue: rows live for milliseconds. Unvacuumed, the empty poll slows down within minutes.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 20000
);
"""

INBOX_V1 = """
CREATE TABLE consumer_offset (
    consumer_group text NOT NULL,
    topic_id text NOT NULL,       -- Kafka's id: a recreated topic begins a new history
    partition integer NOT NULL,
    topic text NOT NULL,
    next_offset bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer_group, topic_id, partition)
) WITH (fillfactor = 50);

CREATE TABLE dead_letter (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer_group text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    key bytea,
    value bytea,
    headers jsonb NOT NULL,
    cause text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""

EVENT_LOG_V1 = """
CREATE TABLE event_log (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL,
    type text NOT NULL,
    subject text NOT NULL,
    data text NOT NULL,
    traceparent text,
    created_at timestamptz NOT NULL
);
CREATE INDEX event_log_subject ON event_log (subject, position);
"""

REDRIVE_V2 = """
ALTER TABLE outbox ADD COLUMN raw_key bytea;
ALTER TABLE dead_letter ADD COLUMN redriven_at timestamptz;
"""
