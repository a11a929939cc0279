"""An object → what flows where: processes, topics, and who calls whom. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from eventpipeline_operator.api import names
from eventpipeline_operator.api.types import Container, EventPipeline, Service
from eventpipeline_operator.api.validation import containers
from eventpipeline_operator.desired.routes import build_route

Lags = Mapping[str, int]  # by consumer group


@dataclass(frozen=True)
class Process:
    """A service's API or one of its workers."""

    service: str
    name: str
    about: str = ""
    produces: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    group: str = ""

    def __str__(self) -> str:
        return f"{self.service}/{self.name}"


@dataclass(frozen=True)
class TopicNode:
    """An entry of spec.topics."""

    name: str
    partitions: int
    external: bool = False


@dataclass(frozen=True)
class Picture:
    """Everything that is drawn, in the order in which it is declared."""

    title: str
    processes: tuple[Process, ...] = ()
    topics: tuple[TopicNode, ...] = ()
    calls: tuple[tuple[str, str], ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    host: str = ""

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the services, as declared."""
        return tuple(dict.fromkeys(p.service for p in self.processes))

    def of(self, service: str) -> tuple[Process, ...]:
        """The processes of one service."""
        return tuple(p for p in self.processes if p.service == service)


def build_picture(pipeline: EventPipeline) -> Picture:
    """All that the object declares of flows."""
    route = build_route(pipeline)
    return Picture(
        title=str(pipeline.key),
        processes=tuple(p for s in pipeline.services for p in _processes(pipeline, s)),
        topics=tuple(
            TopicNode(t.name, t.partitions, t.external is not None) for t in pipeline.topics
        ),
        calls=tuple(
            dict.fromkeys(
                (service.name, callee)
                for service in pipeline.services
                for _, _, container in containers(service)
                for callee in container.calls
            )
        ),
        routes=tuple((path, service) for path, service, _ in route.paths) if route else (),
        host=route.url if route else "",
    )


def _processes(pipeline: EventPipeline, service: Service) -> Iterator[Process]:
    if service.port:
        replicas = service.container.replicas
        about = f":{service.port}" + (f" ×{replicas}" if replicas and replicas > 1 else "")
        yield _process(pipeline, service.name, None, about, service.container)
    for worker in service.workers:
        scale, replicas = worker.scale, worker.container.replicas
        about = f"×{replicas}" if replicas and replicas > 1 else ""
        if scale:
            about = f"×{scale.min}…{scale.max}"
        yield _process(pipeline, service.name, worker.name, about, worker.container)


def _process(
    pipeline: EventPipeline, service: str, worker: str | None, about: str, container: Container
) -> Process:
    group = container.consumer_group or names.consumer_group(pipeline.key, service, worker)
    return Process(
        service,
        worker or names.API_WORKER,
        about,
        container.produces,
        container.consumes,
        group if container.consumes else "",
    )
