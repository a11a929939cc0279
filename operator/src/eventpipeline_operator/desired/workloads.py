"""spec.services → workloads and migrations, given the delivered secrets."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from eventpipeline_operator.api import names
from eventpipeline_operator.api.inheritance import effective_container
from eventpipeline_operator.api.types import EventPipeline, Service, Worker
from eventpipeline_operator.desired.environment import build_environment
from eventpipeline_operator.desired.kafka_users import client_of
from eventpipeline_operator.desired.records import (
    MigrationRecord,
    ScalingRecord,
    SecretReference,
    WorkloadRecord,
)

Delivered = Mapping[str, SecretReference]


def build_workloads(
    pipeline: EventPipeline, service: Service, delivered: Delivered
) -> tuple[WorkloadRecord, ...]:
    """The API (where the service has a port) and the workers of one service."""
    workloads = [_worker(pipeline, service, worker, delivered) for worker in service.workers]
    if service.port:
        workloads.insert(0, _api(pipeline, service, delivered))
    return tuple(workloads)


def build_migration(
    pipeline: EventPipeline, service: Service, delivered: Delivered
) -> MigrationRecord | None:
    """The migration of one service; its revision follows image and command alone."""
    migrate = service.migrate
    if migrate is None:
        return None
    image = migrate.image or service.image
    command = json.dumps([image, migrate.command, migrate.args])
    secrets = service.container.secrets if migrate.secrets is None else migrate.secrets
    env = build_environment(pipeline, service, names.MIGRATE_WORKER, service.container)
    return MigrationRecord(
        name=names.workload_name(service.name, names.MIGRATE_WORKER),
        service=service.name,
        revision=hashlib.sha256(command.encode()).hexdigest()[:8],
        timeout_seconds=migrate.timeout_seconds,
        workload=WorkloadRecord(
            name=names.workload_name(service.name, names.MIGRATE_WORKER),
            service=service.name,
            worker=names.MIGRATE_WORKER,
            image=image,
            command=migrate.command,
            args=migrate.args,
            env=env,
            secrets=(
                *_references(secrets, delivered),
                *_login(pipeline, service, None, delivered),
            ),
            kafka_client=client_of(pipeline, service.container),
            placement=replace(service.container.placement, pod_template={}),
        ),
    )


def _api(pipeline: EventPipeline, service: Service, delivered: Delivered) -> WorkloadRecord:
    record = _workload(pipeline, service, None, delivered)
    return replace(record, port=service.port, replicas=service.container.replicas)


def _worker(
    pipeline: EventPipeline, service: Service, worker: Worker, delivered: Delivered
) -> WorkloadRecord:
    record = _workload(pipeline, service, worker, delivered)
    return replace(
        record,
        image=worker.image or service.image,
        metrics_port=names.METRICS_PORT,
        replicas=worker.scale.min if worker.scale else worker.container.replicas,
        scaling=_scaling(pipeline, service, worker),
    )


def _scaling(pipeline: EventPipeline, service: Service, worker: Worker) -> ScalingRecord | None:
    """Nothing is scaled by the lag of a worker that consumes nothing."""
    container = worker.container
    if worker.scale is None or not container.consumes:
        return None
    topics = [t for t in pipeline.topics if t.name in container.consumes]
    known = all(t.external is None for t in topics)
    return ScalingRecord(
        scale=worker.scale,
        access=pipeline.kafka_access,
        group=container.consumer_group
        or names.consumer_group(pipeline.key, service.name, worker.name),
        topics=tuple(names.kafka_name(pipeline.key, t) for t in topics),
        partitions=sum(t.partitions for t in topics) if known else None,
    )


def _workload(
    pipeline: EventPipeline,
    service: Service,
    worker: Worker | None,
    delivered: Delivered,
) -> WorkloadRecord:
    container, name = effective_container(service, worker), worker.name if worker else None
    return WorkloadRecord(
        name=names.workload_name(service.name, name),
        service=service.name,
        worker=name,
        image=service.image,
        command=container.command,
        args=container.args,
        env=build_environment(pipeline, service, name, container),
        secrets=(
            *_references(container.secrets, delivered),
            *_login(pipeline, service, name, delivered),
        ),
        kafka_client=client_of(pipeline, container),
        probes=container.probes,
        placement=container.placement,
    )


def _login(
    pipeline: EventPipeline, service: Service, worker: str | None, delivered: Delivered
) -> tuple[SecretReference, ...]:
    """What the workload logs in to Kafka with, where it has a user of its own."""
    if not pipeline.kafka_users:
        return ()
    user = names.kafka_user(pipeline.key, service.name, worker)
    login = delivered.get(names.user_entry(pipeline.key, user))
    return (login,) if login else ()


def _references(entries: Iterable[str], delivered: Delivered) -> tuple[SecretReference, ...]:
    return tuple(delivered[entry] for entry in entries)
