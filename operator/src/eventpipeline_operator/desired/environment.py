"""What a container is told: the service contract as variables.

Everything here is public; secrets travel apart (records.SecretReference).
"""

from eventpipeline_operator.api import names
from eventpipeline_operator.api.types import Container, EventPipeline, Service
from eventpipeline_operator.desired.kafka_users import client_of


def build_environment(
    pipeline: EventPipeline, service: Service, worker: str | None, container: Container
) -> dict[str, str]:
    """All variables of one container except POD_NAME, which only the runtime knows."""
    return {
        **pipeline.config,
        **container.config,
        "PIPELINE": pipeline.key.name,
        "SERVICE": service.name,
        **({"WORKER": worker} if worker else {}),
        **_ports(service, worker),
        **_kafka(pipeline, container),
        **_topics(pipeline, service, worker, container),
        **_calls(pipeline, container),
        **_tracing(pipeline, service),
    }


def _kafka(pipeline: EventPipeline, container: Container) -> dict[str, str]:
    told = {"KAFKA_BOOTSTRAP_SERVERS": pipeline.bootstrap_servers}
    client = client_of(pipeline, container)
    if client:
        told["KAFKA_SECURITY_PROTOCOL"] = client.protocol
    if client and client.mechanism:
        told["KAFKA_SASL_MECHANISM"] = client.mechanism.value
    return told


def _ports(service: Service, worker: str | None) -> dict[str, str]:
    if worker is None and service.port:
        return {"PORT": str(service.port)}
    return {"METRICS_PORT": str(names.METRICS_PORT)}


def _topics(
    pipeline: EventPipeline, service: Service, worker: str | None, container: Container
) -> dict[str, str]:
    by_name = {t.name: t for t in pipeline.topics}
    told = {}
    for entry in (*container.produces, *container.consumes):
        told[f"TOPIC_{names.variable(entry)}"] = names.kafka_name(pipeline.key, by_name[entry])
    for entry in container.consumes:
        told[f"DLQ_{names.variable(entry)}"] = names.dead_letter_name(
            pipeline.key, by_name[entry], service.name
        )
    if container.consumes:
        told["CONSUMER_GROUP"] = container.consumer_group or names.consumer_group(
            pipeline.key, service.name, worker
        )
    return told


def _calls(pipeline: EventPipeline, container: Container) -> dict[str, str]:
    ports = {s.name: s.port for s in pipeline.services}
    return {
        f"{names.variable(callee)}_URL": (
            f"http://{names.service_host(pipeline.key, callee)}:{ports[callee]}"
        )
        for callee in container.calls
    }


def _tracing(pipeline: EventPipeline, service: Service) -> dict[str, str]:
    tracing = pipeline.tracing
    told = {"OTEL_SERVICE_NAME": service.name}
    if tracing is None:
        return {**told, "OTEL_TRACES_EXPORTER": "none"}
    endpoint = "ZIPKIN" if tracing.exporter == "zipkin" else "OTLP"
    return {
        **told,
        "OTEL_TRACES_EXPORTER": tracing.exporter,
        f"OTEL_EXPORTER_{endpoint}_ENDPOINT": tracing.endpoint,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": str(tracing.sample_ratio),
    }
