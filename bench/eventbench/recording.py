"""What every scenario does with what came back: answers, orders, audits into a stage."""

from collections.abc import Collection, Sequence

from eventbench import ledger
from eventbench.driving import Driven
from eventbench.observing import Observer
from eventbench.results import Series, Stage
from eventbench.stack import Shop
from eventbench.timelines import add_latencies, describe_orders


def record_load(stage: Stage, driven: Driven) -> None:
    """What the client saw."""
    result = driven.result
    stage.figures["rps"] = round(result.rate, 1)
    stage.figures["generator_cpu_share"] = round(result.cpu_seconds / result.measured_seconds, 3)
    add_latencies(stage, "post", result.histogram)
    seconds = driven.raw["seconds"]
    stage.series["answers_per_s"] = _series(seconds, "ok")
    stage.series["post_p50_ms"] = _series(seconds, "p50")
    stage.series["post_p99_ms"] = _series(seconds, "p99")
    count_answers(stage, driven)


def count_answers(stage: Stage, driven: Driven) -> None:
    """Requests by what became of them, for the client."""
    stage.counts.sent = driven.result.sent
    stage.counts.unknown = driven.result.unknown
    stage.counts.refused = sum(driven.result.statuses.values()) - driven.result.ok
    if driven.result.unsent:
        stage.counts.notes.append(f"{driven.result.unsent} requests found no free connection")


def record_stored(shop: Shop, stage: Stage, driven: Driven, earlier: Collection[str]) -> None:
    """Audit with the workers stopped; orders of earlier runs lie in the same stores."""
    evidence = ledger.collect_evidence(shop)
    for order in earlier:
        evidence.orders.pop(order, None)
        evidence.outbox.pop(order, None)
    ledger.audit_stored(driven.identifiers, stage.counts, evidence)
    _note_ended(shop, stage)


def record_finished(
    shop: Shop, stage: Stage, driven: Driven, observer: Observer, stock: int, warmup: float
) -> None:
    """Audit and times of a shop that has come to rest."""
    evidence = ledger.collect_evidence(shop)
    ledger.audit_finished(driven.identifiers, stock, stage.counts, evidence)
    describe_orders(stage, evidence.orders, driven.result.started_at, warmup)
    observer.describe(stage, len(driven.identifiers))
    _note_ended(shop, stage)


def _note_ended(shop: Shop, stage: Stage) -> None:
    for name in shop.ended():
        stage.counts.notes.append(f"{name} ended by itself")


def _series(seconds: Sequence[dict[str, float]], member: str) -> Series:
    return [(float(entry["second"]), float(entry[member])) for entry in seconds]
