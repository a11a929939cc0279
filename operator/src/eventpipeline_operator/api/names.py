"""Derived names. Every name that another part or a user could look for is made here."""

from eventpipeline_operator.api.types import Key, Topic

GROUP = "eventpipeline.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "EventPipeline"
PLURAL = "eventpipelines"
FIELD_MANAGER = "eventpipeline"
FINALIZER = f"{GROUP}/topics"
ORPHAN_FINALIZER = "orphan"

API_WORKER = "api"
MIGRATE_WORKER = "migrate"
METRICS_PORT = 9090


def topic_prefix(key: Key) -> str:
    """The part of the Kafka name space that belongs to one pipeline."""
    return f"{key.namespace}.{key.name}."


def kafka_name(key: Key, topic: Topic) -> str:
    """The Kafka name of a topic entry."""
    return topic.external or topic.topic_name or topic_prefix(key) + topic.name


def dead_letter_name(key: Key, topic: Topic, service: str) -> str:
    """The Kafka name of the dead-letter topic of one consuming service.

    For a topic of somebody else the dead letters stay in the pipeline's own prefix.
    """
    base = topic_prefix(key) + topic.name if topic.external else kafka_name(key, topic)
    return f"{base}.{service}.dlq"


def consumer_group(key: Key, service: str, worker: str | None) -> str:
    """The default consumer group of a worker (or of the API itself)."""
    return f"{topic_prefix(key)}{service}.{worker or API_WORKER}"


def kafka_user(key: Key, service: str, worker: str | None) -> str:
    """The Kafka user of a workload, named as its group is by default."""
    return consumer_group(key, service, worker)


def is_kafka_user(key: Key, name: str) -> bool:
    """Whether a name has the form of those that the pipeline's users have."""
    prefix = topic_prefix(key)
    return name.startswith(prefix) and name.removeprefix(prefix).count(".") == 1


def user_entry(key: Key, user: str) -> str:
    """The entry under which a user's password is delivered; spec.secrets' have no dot."""
    return f"kafka.{user.removeprefix(topic_prefix(key))}"


def workload_name(service: str, worker: str | None) -> str:
    """Name of a workload within its pipeline."""
    return f"{service}-{worker}" if worker else service


def object_name(key: Key, *parts: str) -> str:
    """Name of an object that the runtime holds for the pipeline."""
    return "-".join((key.name, *parts))


def service_host(key: Key, service: str) -> str:
    """Host name under which a service of the pipeline is reached inside the cluster."""
    return f"{object_name(key, service)}.{key.namespace}.svc"


def variable(name: str) -> str:
    """A DNS label as part of a variable name."""
    return name.upper().replace("-", "_")
