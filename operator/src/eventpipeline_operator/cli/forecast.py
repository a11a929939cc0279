"""An object as it is wanted and what there is → what an apply would change. Pure.

Goes the operator's own way: the same records, the same manifests, the same digests of what is
ours in a live object. What the operator alone knows (its grants, other objects' claims) is left to
it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.types import Dynamic, EventPipeline, Kv
from eventpipeline_operator.cli.changes import Action, Change, Forecast, Sight, System
from eventpipeline_operator.cli.comparing import Difference, compare
from eventpipeline_operator.cli.forecast_children import forecast_children
from eventpipeline_operator.cli.forecast_users import NEW, foresee_logins, user_changes
from eventpipeline_operator.desired.records import SecretReference
from eventpipeline_operator.desired.secrets import source_of
from eventpipeline_operator.desired.topic_plan import TopicPlan, plan_topics
from eventpipeline_operator.desired.topics import build_topics
from eventpipeline_operator.errors import Stalled


def forecast(wanted: Mapping[str, Any], sight: Sight) -> Forecast:
    """What applying the body would change; its spec has its defaults."""
    live = _parse(sight.body) if sight.body else None
    pipeline = parse(_as_stored(wanted, sight.body))
    own = forecast_object(wanted, sight.body)
    if pipeline.suspend:
        note = "spec.suspend is true: the operator changes nothing until it is set to false"
        return Forecast(tuple(own), (), (note,))
    topics = _plan_topics(pipeline, sight)
    references = foresee_secrets(pipeline, live, sight.versions)
    logins = foresee_logins(pipeline)
    children = forecast_children(pipeline, {**references, **logins}, sight)
    kafka = (*_topic_changes(topics, sight), *user_changes(pipeline, live))
    vault = _vault_changes(pipeline, live, references)
    return Forecast(
        (*own, *kafka, *vault, *children.changes),
        (*sight.problems, *(p.message for p in topics.problems.values()), *children.problems),
        tuple(_notes(pipeline, live, sight)),
    )


def forecast_object(wanted: Mapping[str, Any], live: Mapping[str, Any] | None) -> Iterator[Change]:
    """The change of the object itself."""
    subject = f"EventPipeline {wanted['metadata']['name']}"
    if live is None:
        yield Change(System.OBJECT, Action.CREATE, subject)
        return
    differences = list(compare(live["spec"], wanted["spec"], "spec"))
    for part in ("labels", "annotations"):
        given = wanted["metadata"].get(part) or {}
        known = live["metadata"].get(part) or {}
        same = {key: known.get(key) for key in given if key in known}
        differences += compare(same, given, "metadata", part)
    if differences:
        yield Change(System.OBJECT, Action.UPDATE, subject, tuple(differences))


def foresee_secrets(
    pipeline: EventPipeline, live: EventPipeline | None, versions: Mapping[str, str]
) -> dict[str, SecretReference]:
    """How workloads will name each entry; the revision of a new value is not known before."""
    status = {s["name"]: s for s in (live.status.get("secrets") or () if live else ())}
    before = {s.name: s for s in live.secrets} if live else {}
    found = {}
    for entry in pipeline.secrets:
        known, was = status.get(entry.name), before.get(entry.name)
        revision, version = NEW, versions.get(entry.name, "")
        same = live and was and source_of(live, was) == source_of(pipeline, entry)
        if known and same and version in ("", known.get("version", "")):
            prefix = f"{pipeline.key.name}-{entry.name}-"
            revision = str(known.get("secretName", "")).removeprefix(prefix)
            version = str(known.get("version", ""))
        found[entry.name] = SecretReference(
            entry.name, revision, version, tuple(sorted(entry.env)), tuple(sorted(entry.files))
        )
    return found


def _as_stored(wanted: Mapping[str, Any], live: Mapping[str, Any] | None) -> dict[str, Any]:
    """As it will come back from the API server: with the live object's identity and status."""
    meta = {**wanted["metadata"], "uid": "", "generation": 1}
    if live:
        same = ("uid", "generation", "creationTimestamp", "finalizers")
        meta |= {k: live["metadata"][k] for k in same if k in live["metadata"]}
    return {"metadata": meta, "spec": wanted["spec"], "status": (live or {}).get("status") or {}}


def _parse(body: Mapping[str, Any]) -> EventPipeline | None:
    try:
        return parse(body)
    except Stalled:  # from a time before the schema; nothing of it was ever made
        return None


def _plan_topics(pipeline: EventPipeline, sight: Sight) -> TopicPlan:
    if sight.topics is None:
        return TopicPlan()
    items = (pipeline.status.get("topics") or {}).get("items") or ()
    managed = {item["topicName"]: tuple(item.get("configKeys") or ()) for item in items}
    return plan_topics(build_topics(pipeline), sight.topics, managed)


def _topic_changes(plan: TopicPlan, sight: Sight) -> Iterator[Change]:
    for record in plan.create:
        wanted = {"partitions": record.partitions, "config": dict(record.config)}
        yield Change(System.KAFKA, Action.CREATE, f"topic {record.name}", compare(None, wanted))
    observed = sight.topics or {}
    for name in dict.fromkeys((*plan.grow, *plan.configure)):
        live, change = observed[name], plan.configure.get(name, {})
        differences: list[Difference] = []
        if name in plan.grow:
            differences += compare(live.partitions, plan.grow[name], "partitions")
        was = {key: live.config[key] for key in change if key in live.config}
        now = {key: value for key, value in change.items() if value is not None}
        differences += compare(was, now, "config")
        yield Change(System.KAFKA, Action.UPDATE, f"topic {name}", tuple(differences))


def _vault_changes(
    pipeline: EventPipeline,
    live: EventPipeline | None,
    references: Mapping[str, SecretReference],
) -> Iterator[Change]:
    """Leases alone: nothing else of Vault ever changes."""
    wanted = {s.name: s.vault for s in pipeline.secrets}
    for name, source in wanted.items():
        if isinstance(source, Dynamic) and references[name].revision == NEW:
            yield Change(System.VAULT, Action.ISSUE, f"credentials {source.path} for {name}")
    for entry in live.secrets if live else ():
        source = entry.vault
        moved = source != wanted.get(entry.name)
        if isinstance(source, Dynamic) and moved:
            subject = f"credentials {source.path} of {entry.name}"
            yield Change(System.VAULT, Action.REVOKE, subject)


def _notes(pipeline: EventPipeline, live: EventPipeline | None, sight: Sight) -> Iterator[str]:
    if sight.topics is None:
        yield "Kafka was not looked at"
    unread = [
        s.name
        for s in pipeline.secrets
        if isinstance(s.vault, Kv) and s.vault.version is None and s.name not in sight.versions
    ]
    if unread:
        yield f"Vault was not asked for the newest version of {', '.join(unread)}"
    left = {r.name for r in build_topics(live)} if live else set()
    for name in sorted(left - {r.name for r in build_topics(pipeline)}):
        yield f"topic {name} leaves the object and stays in Kafka"
    scaled = [
        f"{service.name}-{worker.name}"
        for service in pipeline.services
        for worker in service.workers
        if worker.scale
    ]
    if scaled:
        yield f"the lag decides how many processes these have: {', '.join(scaled)}"
