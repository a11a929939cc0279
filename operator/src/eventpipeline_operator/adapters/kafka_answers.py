"""What a broker answers: awaited once a call, its fate told in words that say what to do."""

import asyncio
import itertools
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ConfigSource  # type: ignore[attr-defined] # not re-exported

from eventpipeline_operator.adapters.metrics import KAFKA_CALLS
from eventpipeline_operator.api.observed import ObservedTopic
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.errors import ReconcileError, Retryable, Stalled

AWAY = frozenset({
    KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._RESOLVE, KafkaError._DESTROY, KafkaError.REQUEST_TIMED_OUT,  # noqa: SLF001
    KafkaError.NOT_CONTROLLER, KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NETWORK_EXCEPTION, KafkaError.LEADER_NOT_AVAILABLE,
})  # fmt: skip
DENIED = frozenset({
    KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED,  # noqa: SLF001
    KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.TOPIC_AUTHORIZATION_FAILED,
})  # fmt: skip

EXPECTED = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_ALREADY_EXISTS})

EXPLICIT = ConfigSource.DYNAMIC_TOPIC_CONFIG.value

Answer = Any | KafkaError


async def settle(call: str, futures: Mapping[str, Future[Any]]) -> dict[str, Answer]:
    """Await all futures of one call; a failure of one is its answer."""
    await _all_done(futures.values())
    answers: dict[str, Answer] = {}
    for name, future in futures.items():
        error = future.exception()
        if isinstance(error, KafkaException):
            answers[name] = error.args[0]
        elif error:
            raise error
        else:
            answers[name] = future.result()
    failed = any(isinstance(a, KafkaError) and a.code() not in EXPECTED for a in answers.values())
    KAFKA_CALLS.labels(call=call, outcome="failed" if failed else "ok").inc()
    return answers


async def settle_one(call: str, future: Future[Any]) -> Answer:
    """The answer of a call that has one."""
    return (await settle(call, {call: future}))[call]


async def _all_done(futures: Collection[Future[Any]]) -> None:
    """Wait for all; a call has one answer, so thousands of futures need one wake-up, not one each.

    They are fulfilled in a thread of librdkafka's.
    """
    if not futures:
        return
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    left = itertools.count(len(futures) - 1, -1)

    def tell(_: Future[Any]) -> None:
        if next(left) == 0 and not loop.is_closed():
            loop.call_soon_threadsafe(done.set)

    for future in futures:
        future.add_done_callback(tell)
    await done.wait()


def classified(error: KafkaError, subject: str) -> ReconcileError:
    """The fate of a broker's answer."""
    said = f"{subject}: {error.str()}" if subject else error.str()
    if error.code() in DENIED:
        return Stalled(Reason.KAFKA_DENIED, f"{said}: grant it to the operator's identity")
    return Retryable(Reason.KAFKA_UNAVAILABLE, said)


def located(error: ReconcileError, servers: str) -> ReconcileError:
    """The same, told with the cluster it is about."""
    if not isinstance(error, Retryable):
        return type(error)(error.reason, f"Kafka at {servers} refuses: {error.message}")
    return type(error)(
        error.reason,
        f"Kafka at {servers} does not answer: {error.message}: check "
        "spec.kafka.bootstrapServers and that the brokers run",
    )


def observed_topic(name: str, answer: Answer) -> ObservedTopic | KafkaError:
    """A description as a topic; a failure stays one."""
    if isinstance(answer, KafkaError):
        return answer
    return ObservedTopic(
        name=name,
        id=str(answer.topic_id),
        partitions=len(answer.partitions),
        replication_factor=min((len(p.replicas) for p in answer.partitions), default=0),
        replicas=tuple(tuple(node.id for node in p.replicas) for p in answer.partitions),
    )


def explicit_config(answer: Answer) -> dict[str, str] | KafkaError:
    """The keys that somebody set; a failure stays one."""
    if isinstance(answer, KafkaError):
        return answer
    return {key: entry.value for key, entry in answer.items() if entry.source == EXPLICIT}
