"""Prometheus metrics of the operator, all in one table."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from eventpipeline_operator.api.reasons import PROGRESS, Reason
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.policies.deletion import Obstacle

PASSES = Histogram(
    "eventpipeline_reconcile_duration_seconds",
    "Duration of one pass over an object.",
    ["outcome"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 30, 60),
)
ERRORS = Counter(
    "eventpipeline_reconcile_errors_total",
    "Problems that passes met, each time, by reason; work under way is none.",
    ["reason"],
)
PROBLEMS = Counter(
    "eventpipeline_reconcile_problems_total", "Conditions that turned not true, by reason.",
    ["type", "reason"],
)  # fmt: skip
OBJECT_WRITES = Counter(
    "eventpipeline_kubernetes_writes_total",
    "Writes to Kubernetes. A result of unchanged was asked for and altered nothing.",
    ["kind", "result"],
)
KAFKA_CALLS = Counter(
    "eventpipeline_kafka_calls_total", "Admin calls to Kafka.", ["call", "outcome"]
)
VAULT_CALLS = Counter("eventpipeline_vault_calls_total", "Calls to Vault.", ["call", "outcome"])
TOPICS_REMOVED = Counter(
    "eventpipeline_topics_removed_total", "Topics that went with their object."
)
TOPICS_LEFT = Counter(
    "eventpipeline_topics_left_behind_total", "Topics that stayed when their object went.",
    ["obstacle"],
)  # fmt: skip
# A series that begins with the first of its kind hides it: increase() has nothing to start from.
for reason in set(Reason) - PROGRESS:
    ERRORS.labels(reason=reason)
for obstacle in Obstacle:
    TOPICS_LEFT.labels(obstacle=obstacle)
OLDEST = Gauge(
    "eventpipeline_oldest_unreconciled_seconds", "How long the longest waiting object is due."
)
WAITED = Histogram(
    "eventpipeline_queue_wait_seconds",
    "How long an object waited for its pass.",
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 30, 60),
)
QUEUED = Gauge("eventpipeline_queue_length", "Objects that wait for a pass.")
OBJECTS = Gauge("eventpipeline_objects", "EventPipelines that the operator knows.")
RECORDS = Gauge(
    "eventpipeline_records_pending",
    "Records about objects (journals, and what those that are gone have left) yet to be written.",
)
LEADER = Gauge("eventpipeline_leader", "1 in the replica that works.")


class Unready(Collector):
    """Objects that are not Ready, counted when they are asked for: reasons come and go."""

    def __init__(self) -> None:
        self.count: Callable[[], Mapping[str, int]] = dict

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """One series for each reason that an object has now."""
        family = GaugeMetricFamily(
            "eventpipeline_objects_not_ready",
            "EventPipelines that are not Ready, by reason.",
            labels=["reason"],
        )
        for reason, number in self.count().items():
            family.add_metric([reason], number)
        yield family


UNREADY = Unready()
REGISTRY.register(UNREADY)


class PrometheusMetrics:
    """The Metrics port."""

    def reconciled(self, key: Key, seconds: float, outcome: str) -> None:
        """One pass has ended."""
        del key  # a label per object would grow without bound
        PASSES.labels(outcome=outcome).observe(seconds)

    def failed(self, reason: str) -> None:
        """A pass met a problem."""
        ERRORS.labels(reason=reason).inc()

    def removed(self, topics: int) -> None:
        """Topics went with their object."""
        TOPICS_REMOVED.inc(topics)

    def left_behind(self, obstacle: Obstacle, topics: int) -> None:
        """Topics stay while their object goes."""
        TOPICS_LEFT.labels(obstacle=obstacle).inc(topics)
