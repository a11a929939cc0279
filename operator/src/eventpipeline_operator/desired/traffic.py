"""spec.networkPolicy and the graph of a pipeline → which connections each workload needs.

The graph is what the object says anyway: who produces or consumes needs Kafka, who calls needs the
callee, who is traced needs the tracing endpoint. What it does not say, such as a database that only
a secret's template names, stands in `egress`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from eventpipeline_operator.api import names
from eventpipeline_operator.api.endpoints import parse_endpoint, parse_url
from eventpipeline_operator.api.inheritance import effective_container
from eventpipeline_operator.api.types import (
    Container,
    Endpoint,
    EventPipeline,
    NetworkPolicy,
    Service,
)
from eventpipeline_operator.desired.records import TrafficRecord


@dataclass(frozen=True)
class _Node:
    """A workload of the graph."""

    name: str
    container: Container
    port: int | None = None
    routed: bool = False


def build_traffic(pipeline: EventPipeline) -> dict[str, TrafficRecord]:
    """One record per workload and migration, by its name; none where the policy is off."""
    policy = pipeline.network_policy
    if policy is None or not policy.enabled:
        return {}
    nodes = [node for service in pipeline.services for node in _nodes(pipeline, service)]
    return {node.name: _record(pipeline, policy, node, nodes) for node in nodes}


def _nodes(pipeline: EventPipeline, service: Service) -> Iterator[_Node]:
    if service.port:
        routed = pipeline.ingress is not None and bool(service.paths)
        yield _Node(service.name, service.container, service.port, routed)
    for worker in service.workers:
        name = names.workload_name(service.name, worker.name)
        yield _Node(name, effective_container(service, worker), names.METRICS_PORT)
    if service.migrate:
        yield _Node(names.workload_name(service.name, names.MIGRATE_WORKER), service.container)


def _record(
    pipeline: EventPipeline, policy: NetworkPolicy, node: _Node, nodes: list[_Node]
) -> TrafficRecord:
    ports = {s.name: s.port for s in pipeline.services if s.port}
    admitted = (*(policy.ingress_from if node.routed else ()), *policy.metrics_from)
    return TrafficRecord(
        workload=node.name,
        port=node.port,
        callers=tuple(other.name for other in nodes if node.name in other.container.calls),
        admitted=tuple(peer for at, peer in enumerate(admitted) if peer not in admitted[:at])
        if node.port
        else (),
        calls=tuple((callee, ports[callee]) for callee in node.container.calls),
        endpoints=tuple(dict.fromkeys(_endpoints(pipeline, policy, node.container))),
        dns=policy.dns,
    )


def _endpoints(
    pipeline: EventPipeline, policy: NetworkPolicy, container: Container
) -> Iterator[Endpoint]:
    if container.produces or container.consumes:
        yield from map(parse_endpoint, pipeline.bootstrap_servers.split(","))
    if pipeline.tracing:
        yield parse_url(pipeline.tracing.endpoint)
    yield from policy.egress
    yield from container.egress
