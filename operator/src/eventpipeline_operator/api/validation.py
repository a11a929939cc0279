"""What a schema cannot say: references between lists, duplicates, colliding names.

The same rules, with the same words, stand in the admission policy of the chart; here they catch
what came in while the policy was not installed. Returns sentences, each naming field and way out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from eventpipeline_operator.api import names
from eventpipeline_operator.api.endpoints import is_network, is_possible
from eventpipeline_operator.api.inheritance import effective_container
from eventpipeline_operator.api.types import (
    Container,
    Endpoint,
    EventPipeline,
    NetworkPolicy,
    Service,
    Worker,
)

RESERVED = frozenset(
    {"PIPELINE", "SERVICE", "WORKER", "POD_NAME", "PORT", "METRICS_PORT", "CONSUMER_GROUP"}
)
RESERVED_WORKERS = frozenset({names.API_WORKER, names.MIGRATE_WORKER})
RESERVED_PREFIXES = ("KAFKA_", "TOPIC_", "DLQ_", "OTEL_")


def validate(pipeline: EventPipeline) -> list[str]:
    """All complaints about a parsed object, in the order of its fields."""
    return [
        *_duplicates("topics", (t.name for t in pipeline.topics)),
        *_duplicates("secrets", (s.name for s in pipeline.secrets)),
        *_duplicates("services", (s.name for s in pipeline.services)),
        *_topics(pipeline),
        *_secrets(pipeline),
        *_references(pipeline),
        *_collisions(pipeline),
        *_variables(pipeline),
        *_traffic(pipeline),
    ]


def containers(service: Service) -> Iterator[tuple[str, Worker | None, Container]]:
    """Each container as written, with the path of its field; None stands for the API."""
    yield f"spec.services[{service.name}]", None, service.container
    for worker in service.workers:
        path = f"spec.services[{service.name}].workers[{worker.name}]"
        yield path, worker, worker.container


def _duplicates(field: str, found: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(found).items():
        if count > 1:
            yield f"spec.{field}: {name!r} is there {count} times: rename or remove one"


def _topics(pipeline: EventPipeline) -> Iterator[str]:
    for topic in pipeline.topics:
        if topic.partitions < 1:
            yield f"spec.topics[{topic.name}].partitions must be at least 1"
    kafka = Counter(names.kafka_name(pipeline.key, t) for t in pipeline.topics)
    for name, count in kafka.items():
        if count > 1:
            yield f"spec.topics: {count} entries name the Kafka topic {name!r}: keep one"


def _secrets(pipeline: EventPipeline) -> Iterator[str]:
    if pipeline.secrets and pipeline.vault is None:
        yield "spec.vault is needed by spec.secrets: say where Vault is and how to log in"
    for secret in pipeline.secrets:
        for key in sorted(set(secret.env) & set(secret.files)):
            yield f"spec.secrets[{secret.name}]: {key!r} is both in env and in files: rename one"


def _references(pipeline: EventPipeline) -> Iterator[str]:
    topics = {t.name for t in pipeline.topics}
    secrets = {s.name for s in pipeline.secrets}
    apis = {s.name for s in pipeline.services if s.port}
    for service in pipeline.services:
        for path, _, container in containers(service):
            yield from _unknown(f"{path}.produces", container.produces, topics, "spec.topics")
            yield from _unknown(f"{path}.consumes", container.consumes, topics, "spec.topics")
            yield from _unknown(f"{path}.secrets", container.secrets, secrets, "spec.secrets")
            yield from _unknown(f"{path}.calls", container.calls, apis, "spec.services with a port")
        if service.migrate and service.migrate.secrets:
            path = f"spec.services[{service.name}].migrate.secrets"
            yield from _unknown(path, service.migrate.secrets, secrets, "spec.secrets")


def _unknown(path: str, wanted: Iterable[str], known: set[str], where: str) -> Iterator[str]:
    for name in wanted:
        if name not in known:
            yield f"{path}: '{name}' is not in {where}: add it there or correct the name"


def _collisions(pipeline: EventPipeline) -> Iterator[str]:
    owners: dict[str, str] = {}
    for service in pipeline.services:
        for path, worker, _ in containers(service):
            own = worker.name if worker else None
            if own in RESERVED_WORKERS:
                yield f"{path}: the operator uses the name {own!r} itself: rename the worker"
            name = names.workload_name(service.name, own)
            if name in owners:
                yield (
                    f"{path}: its objects would be named {name!r} like those of {owners[name]}: "
                    "rename one"
                )
            owners.setdefault(name, path)


def _variables(pipeline: EventPipeline) -> Iterator[str]:
    by_name = {s.name: s for s in pipeline.secrets}
    yield from _reserved("spec.config", pipeline.config)
    for secret in pipeline.secrets:
        yield from _reserved(f"spec.secrets[{secret.name}].env", secret.env)
    for service in pipeline.services:
        for path, worker, own in containers(service):
            yield from _reserved(f"{path}.config", own.config)
            container = effective_container(service, worker)
            sources = Counter(
                key for s in container.secrets if s in by_name for key in by_name[s].env
            )
            sources.update({*pipeline.config, *container.config})
            sources.update(f"{names.variable(c)}_URL" for c in container.calls)
            for key, count in sorted(sources.items()):
                if count > 1:
                    yield (
                        f"{path}: the variable {key} comes from {count} of its secrets, config "
                        "and calls: rename one"
                    )


def _traffic(pipeline: EventPipeline) -> Iterator[str]:
    policy, field = pipeline.network_policy or NetworkPolicy(enabled=False), "spec.networkPolicy"
    routed = pipeline.ingress and any(service.paths for service in pipeline.services)
    if policy.enabled and routed and not policy.ingress_from:
        yield (
            f"{field}.ingressFrom is needed by paths: say in which namespace the ingress "
            "controller runs"
        )
    for name in ("ingress_from", "metrics_from", "dns"):
        for peer in getattr(policy, name):
            if peer.cidr and not is_network(peer.cidr):
                yield f"{field}: {peer.cidr!r} is no CIDR, or has bits beyond its mask: correct it"
    yield from _impossible(f"{field}.egress", policy.egress)
    for service in pipeline.services:
        for path, _, container in containers(service):
            yield from _impossible(f"{path}.egress", container.egress)


def _impossible(path: str, egress: Iterable[Endpoint]) -> Iterator[str]:
    for endpoint in egress:
        if not is_possible(endpoint):
            yield f"{path}: {endpoint.host}:{endpoint.port} can be nowhere: correct the entry"


def _reserved(path: str, keys: Iterable[str]) -> Iterator[str]:
    for key in sorted(keys):
        if key in RESERVED or key.startswith(RESERVED_PREFIXES):
            yield f"{path}.{key}: the operator sets this variable itself: remove or rename it"
