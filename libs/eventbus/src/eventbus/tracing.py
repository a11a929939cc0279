"""Trace propagation across HTTP, outbox and Kafka, by hand.

A context travels as its W3C `traceparent` text: in the request, in the outbox row, in the record.
The decision to sample is made once, where a trace begins; for the rest no span object is made and
the text is passed on, so that tracing costs nothing where it is not wanted.
"""

import random
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from eventbus.settings import ServiceSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

_ODD = "13579bdf"


def _unsampled_root() -> str:
    # As OpenTelemetry makes its ids; the kernel's randomness would cost a change of thread.
    trace, span = random.getrandbits(128) or 1, random.getrandbits(64) or 1
    return f"00-{trace:032x}-{span:016x}-00"


class Tracing:
    """Spans for what is sampled, a passed-on context for what is not."""

    def __init__(self, provider: "TracerProvider | None", ratio: float) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("eventbus") if provider else None
        self._ratio = ratio

    def span(
        self, name: str, kind: str, parent: str | None, **attributes: str
    ) -> AbstractContextManager[str | None]:
        """Run a block as a span; yields the context that work caused by it should carry."""
        match = _TRACEPARENT.fullmatch(parent) if parent else None
        if self._tracer is None:
            return nullcontext(parent if match else None)
        if match is None:
            sampled = kind == "server" and random.random() < self._ratio  # noqa: S311
        else:
            sampled = match[3][1] in _ODD  # the sampled flag is the lowest bit
        if not sampled:
            return nullcontext(parent if match else _unsampled_root())
        return self._recorded(name, kind, match, attributes)

    @contextmanager
    def _recorded(
        self, name: str, kind: str, parent: re.Match[str] | None, attributes: dict[str, str]
    ) -> Iterator[str]:
        from opentelemetry.trace import use_span  # noqa: PLC0415  # only where spans are made

        span = self._start(name, kind, parent, attributes)
        with use_span(span, end_on_exit=True):
            yield _format(span)

    def _start(
        self, name: str, kind: str, parent: re.Match[str] | None, attributes: dict[str, str]
    ) -> Any:
        from opentelemetry import trace  # noqa: PLC0415
        from opentelemetry.context import Context  # noqa: PLC0415

        context = Context()
        if parent is not None:
            remote = trace.SpanContext(
                int(parent[1], 16),
                int(parent[2], 16),
                is_remote=True,
                trace_flags=trace.TraceFlags(1),
            )
            context = trace.set_span_in_context(trace.NonRecordingSpan(remote), context)
        assert self._tracer is not None  # noqa: S101  # asked by the caller
        return self._tracer.start_span(
            name, context, kind=trace.SpanKind[kind.upper()], attributes=attributes
        )

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()


def recorded_trace(traceparent: str | None) -> str | None:
    """The id of the trace that a context belongs to, if its spans are kept."""
    return traceparent[3:35] if traceparent and traceparent[-1] in _ODD else None


def _format(span: Any) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def build_tracing(settings: ServiceSettings) -> Tracing:
    """Tracing as `OTEL_*` asks for; the SDK is imported only if there is an exporter."""
    if settings.traces_exporter == "none":
        return Tracing(None, 0.0)
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415

    exporter: SpanExporter
    if settings.traces_exporter == "zipkin":
        from eventbus.zipkin import ZipkinExporter  # noqa: PLC0415

        exporter = ZipkinExporter(settings.zipkin_endpoint, settings.service)
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )

        exporter = OTLPSpanExporter()
    resource = Resource.create(
        {"service.name": settings.service, "service.namespace": settings.pipeline}
    )
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1_000))
    return Tracing(provider, settings.traces_ratio)
