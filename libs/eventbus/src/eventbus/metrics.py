"""The metrics of relays and consumers, under one prefix for every service."""

from prometheus_client import Counter, Gauge, Histogram

from eventbus.tracing import recorded_trace

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
BATCH_RECORDS = Histogram(
    "eventbus_batch_records",
    "Records of a batch",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000),
)
LAG = Gauge("eventbus_consumer_lag", "Records that wait", ["topic", "partition"])
RELAY_PUBLISHED = Counter("eventbus_relay_published_total", "Records confirmed by Kafka")
RELAY_AGE = Gauge("eventbus_outbox_age_seconds", "Age of the oldest row of the last batch")


def exemplar(traceparent: str | None) -> dict[str, str] | None:
    """Labels that lead from an observation to its trace, if that is recorded."""
    trace = recorded_trace(traceparent)
    return {"trace_id": trace} if trace else None
