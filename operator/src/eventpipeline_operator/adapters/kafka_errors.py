"""What a broker answers → the fate of the call, in words that say what to do."""

from confluent_kafka import KafkaError

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
