"""The metrics of relays and consumers, under one prefix for every service."""

from prometheus_client import Counter, Gauge, Histogram

CONSUMED = Counter(
    "eventbus_consumed_total",
    "Records that left the consumer, by what became of them",
    ["topic", "outcome"],
)
BATCH_SECONDS = Histogram(
    "eventbus_batch_seconds",
    "From a batch's first record in hand to its commit",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LAG = Gauge("eventbus_consumer_lag", "Records that wait", ["topic", "partition"])
RELAY_PUBLISHED = Counter("eventbus_relay_published_total", "Records confirmed by Kafka")
RELAY_AGE = Gauge("eventbus_outbox_age_seconds", "Age of the oldest row of the last batch")
