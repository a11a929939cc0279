"""What a step observed → its condition."""

from collections.abc import Sequence

from eventpipeline_operator.api.conditions import Condition, ConditionType, Status
from eventpipeline_operator.api.observed import (
    Fate,
    MigrationPhase,
    Observation,
    Problem,
    SecretsObservation,
    ServiceState,
    TopicsObservation,
    UsersObservation,
    WorkloadsObservation,
)
from eventpipeline_operator.api.reasons import PROGRESS, Reason

SHOWN = 3


def evaluate_steps(observation: Observation) -> tuple[Condition, ...]:
    """One condition for each step; that of Kafka users only where they are asked for."""
    return (
        evaluate_topics(observation.topics),
        *((evaluate_users(observation.users),) if observation.users else ()),
        evaluate_secrets(observation.secrets),
        evaluate_workloads(observation.workloads),
    )


def evaluate_topics(topics: TopicsObservation) -> Condition:
    """TopicsReady."""
    if topics.problems:
        return _not_ready(ConditionType.TOPICS, topics.problems)
    extra = len(topics.items) - topics.desired
    more = f" and {extra} for dead letters" if extra > 0 else ""
    message = f"{_count(topics.desired, 'topic')}{more} as declared"
    return Condition(ConditionType.TOPICS, Status.TRUE, Reason.TOPICS_IN_SYNC, message)


def evaluate_users(users: UsersObservation) -> Condition:
    """UsersReady."""
    if users.problems:
        return _not_ready(ConditionType.USERS, users.problems)
    leaving = len(users.items) - users.desired
    more = f", {_count(leaving, 'other')} to go when no pod has their login" if leaving > 0 else ""
    message = f"{_count(users.desired, 'Kafka user')} as the graph has them{more}"
    return Condition(ConditionType.USERS, Status.TRUE, Reason.USERS_IN_SYNC, message)


def evaluate_secrets(secrets: SecretsObservation) -> Condition:
    """SecretsReady."""
    if secrets.problems:
        return _not_ready(ConditionType.SECRETS, secrets.problems)
    message = f"{_count(secrets.desired, 'secret')} delivered"
    return Condition(ConditionType.SECRETS, Status.TRUE, Reason.SECRETS_IN_SYNC, message)


def evaluate_workloads(workloads: WorkloadsObservation) -> Condition:
    """WorkloadsReady."""
    problems = [*workloads.problems]
    for service in workloads.services:
        problems += _service_problems(service)
    if problems:
        return _not_ready(ConditionType.WORKLOADS, problems)
    message = f"{_count(workloads.desired, 'service')} available"
    return Condition(ConditionType.WORKLOADS, Status.TRUE, Reason.WORKLOADS_AVAILABLE, message)


def _service_problems(service: ServiceState) -> list[Problem]:
    if service.ready:
        return []
    migration = service.migration
    if migration and migration.phase is not MigrationPhase.SUCCEEDED:
        waiting = Problem(
            Reason.MIGRATION_RUNNING, f"{service.name}: its migration runs; it serves afterwards"
        )
        return [migration.problem or waiting]
    return [
        workload.problem
        or Problem(
            Reason.ROLLING_OUT,
            f"{workload.name}: {workload.available} of {workload.wanted} available, "
            f"{workload.updated} of the newest revision",
        )
        for workload in service.workloads
        if not workload.ready
    ]


def _not_ready(kind: ConditionType, problems: Sequence[Problem]) -> Condition:
    order = {Fate.STALL: 0, Fate.RETRY: 1, Fate.WAIT: 2}
    ranked = sorted(problems, key=lambda p: (p.reason in PROGRESS, order[p.fate]))
    message = "; ".join(p.message for p in ranked[:SHOWN])
    if len(ranked) > SHOWN:
        message += f"; and {len(ranked) - SHOWN} more"
    return Condition(kind, Status.FALSE, ranked[0].reason, message)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
