"""Step 1: every topic exists and is configured as declared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import structlog

from eventpipeline_operator.api.observed import (
    Fate,
    ObservedTopic,
    Problem,
    TopicItem,
    TopicsObservation,
)
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.desired.records import TopicRecord
from eventpipeline_operator.desired.topic_plan import TopicPlan, plan_topics
from eventpipeline_operator.desired.topics import build_topics
from eventpipeline_operator.errors import ReconcileError
from eventpipeline_operator.policies.claims import Claim, evaluate_claims
from eventpipeline_operator.policies.grants import Grants, evaluate_grants
from eventpipeline_operator.reconcile.claims import Claims, claim_of
from eventpipeline_operator.reconcile.kafka_ports import Kafka
from eventpipeline_operator.reconcile.recording import record_call

log = structlog.get_logger()


async def reconcile_topics(
    pipeline: EventPipeline, kafka: Kafka, grants: Grants, claims: Claims
) -> TopicsObservation:
    """Create, grow and configure what differs; report what cannot be."""
    records = build_topics(pipeline)
    declared = len(pipeline.topics)
    managed = _managed_keys(pipeline)
    holders = claims.holders(pipeline.bootstrap_servers, [r.name for r in records])
    denied = evaluate_grants(pipeline, grants, holders)
    conflicts = _conflicts(pipeline, records, holders)
    apart = {**denied, **conflicts}
    kept = _kept(pipeline, records, denied)
    records = tuple(r for r in records if not {r.name, r.dead_letters_of} & apart.keys())
    try:
        observed = await _observe(pipeline, kafka, records, managed)
        plan = plan_topics(records, observed, managed)
        refused: Mapping[str, str] = {}
        if plan.changes:
            refused = await _execute(pipeline, kafka, plan)
            observed = await _observe(pipeline, kafka, records, managed)
            plan = plan_topics(records, observed, managed)
        if plan.misplaced:
            brokers = await kafka.brokers(pipeline.kafka_access)
            plan = plan_topics(records, observed, managed, brokers)
    except ReconcileError as error:
        problems = (*apart.values(), Problem.of(error))
        return TopicsObservation(desired=declared, problems=problems, items=known_items(pipeline))
    items = _items(records, observed, managed)
    found = _observation(records, observed, plan, refused, items)
    return replace(
        found,
        desired=declared,
        exist=found.exist and not apart,
        apart=frozenset(apart),
        items=(*items, *kept),
        problems=(*apart.values(), *found.problems),
    )


def _conflicts(
    pipeline: EventPipeline, records: Sequence[TopicRecord], holders: Mapping[str, Claim]
) -> dict[str, Problem]:
    """Topics of older objects: they are not touched."""
    own = {r.name: holders[r.name] for r in records if not r.external and r.name in holders}
    return evaluate_claims(claim_of(pipeline), own)


def _kept(
    pipeline: EventPipeline, records: Sequence[TopicRecord], denied: Mapping[str, Problem]
) -> tuple[TopicItem, ...]:
    """What is known of topics that may not be named any more: they remain this object's."""
    names = {r.name for r in records}
    departed = [item.topic_name for item in known_items(pipeline) if item.topic_name not in names]
    if departed:
        log.info("topics left the spec and are retained", topics=departed)
    hidden = {r.name for r in records if {r.name, r.dead_letters_of} & denied.keys()}
    return tuple(item for item in known_items(pipeline) if item.topic_name in hidden)


async def _observe(
    pipeline: EventPipeline,
    kafka: Kafka,
    records: Sequence[TopicRecord],
    managed: Mapping[str, Iterable[str]],
) -> Mapping[str, ObservedTopic]:
    configured = [r.name for r in records if not r.external and (r.config or managed.get(r.name))]
    return await kafka.describe(pipeline.kafka_access, [r.name for r in records], configured)


async def _execute(pipeline: EventPipeline, kafka: Kafka, plan: TopicPlan) -> dict[str, str]:
    access = pipeline.kafka_access
    refused: dict[str, str] = {}
    if plan.create:
        log.info("creating topics", topics=[r.name for r in plan.create][:20])
        refused.update(await kafka.create(access, plan.create))
    if plan.grow:
        log.info("adding partitions", totals=dict(plan.grow))
        refused.update(await kafka.grow(access, plan.grow))
    if plan.configure:
        log.info("configuring topics", changes={n: dict(c) for n, c in plan.configure.items()})
        refused.update(await kafka.configure(access, plan.configure))
    for call, names in (
        ("create topics", [r.name for r in plan.create]),
        ("add partitions", list(plan.grow)),
        ("configure topics", list(plan.configure)),
    ):
        done = [name for name in names if name not in refused]
        if done:
            more = f" and {len(done) - 3} more" if len(done) > 3 else ""
            record_call(call, ", ".join(done[:3]) + more, "done")
    return refused


def _observation(
    records: Sequence[TopicRecord],
    observed: Mapping[str, ObservedTopic],
    plan: TopicPlan,
    refused: Mapping[str, str],
    items: tuple[TopicItem, ...],
) -> TopicsObservation:
    problems = dict(plan.problems)
    declared = [r for r in records if not r.dead_letters_of]
    for name, words in refused.items():
        problems[name] = Problem(
            Reason.TOPIC_REFUSED,
            f"Kafka refuses topic {name}: {words}: correct its entry in spec.topics",
            Fate.STALL,
        )
    pending = {r.name for r in plan.create} | set(plan.grow) | set(plan.configure)
    for name in sorted(pending - set(problems)):
        problems[name] = Problem(
            Reason.PROGRESSING, f"Kafka does not show the change of topic {name} yet", Fate.RETRY
        )
    return TopicsObservation(
        desired=len(declared),
        ready=sum(1 for r in declared if r.name not in problems),
        exist=all(r.name in observed for r in records),
        verified=True,
        items=items,
        problems=tuple(problems.values()),
    )


def _items(
    records: Sequence[TopicRecord],
    observed: Mapping[str, ObservedTopic],
    managed: Mapping[str, Iterable[str]],
) -> tuple[TopicItem, ...]:
    items = []
    for record in records:
        live = observed.get(record.name)
        if live and not record.external:
            left = {k for k in managed.get(record.name, ()) if k in live.config}
            items.append(TopicItem(record.name, live.id, tuple(sorted(left | set(record.config)))))
    return tuple(items)


def known_items(pipeline: EventPipeline) -> tuple[TopicItem, ...]:
    """What the status says about topics."""
    items = (pipeline.status.get("topics") or {}).get("items") or ()
    return tuple(
        TopicItem(i["topicName"], i.get("id", ""), tuple(i.get("configKeys") or ())) for i in items
    )


def _managed_keys(pipeline: EventPipeline) -> dict[str, tuple[str, ...]]:
    return {item.topic_name: item.config_keys for item in known_items(pipeline)}
