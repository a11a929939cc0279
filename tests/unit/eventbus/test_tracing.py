"""Contexts are passed on, and spans made only for what is sampled."""

import re

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from eventbus.tracing import Tracing
from eventbus.zipkin import ZipkinExporter

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = SAMPLED[:-2] + "00"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def tracing(spans: InMemorySpanExporter, ratio: float = 1.0) -> Tracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return Tracing(provider, ratio)


def test_a_request_begins_a_trace(spans: InMemorySpanExporter) -> None:
    with tracing(spans).span("POST", "server", None) as context:
        assert context is not None
        assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", context)
    (span,) = spans.get_finished_spans()
    assert span.name == "POST"


def test_a_sampled_context_is_continued(spans: InMemorySpanExporter) -> None:
    with tracing(spans).span("handle", "consumer", SAMPLED, topic="t") as context:
        assert context is not None
        assert context[:36] == SAMPLED[:36]
        assert context != SAMPLED
    (span,) = spans.get_finished_spans()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"


def test_what_is_not_sampled_makes_no_span_but_keeps_its_trace(
    spans: InMemorySpanExporter,
) -> None:
    with tracing(spans).span("handle", "consumer", UNSAMPLED) as context:
        assert context == UNSAMPLED
    with tracing(spans, ratio=0.0).span("POST", "server", None) as context:
        assert context is not None
        assert context.endswith("-00")
    assert spans.get_finished_spans() == ()


@pytest.mark.parametrize("parent", [None, "", "nonsense", SAMPLED.upper()])
def test_without_an_exporter_nothing_is_invented(parent: str | None) -> None:
    with Tracing(None, 1.0).span("handle", "consumer", parent) as context:
        assert context is None


def test_without_an_exporter_a_context_is_still_passed_on() -> None:
    with Tracing(None, 1.0).span("handle", "consumer", SAMPLED) as context:
        assert context == SAMPLED


def test_an_error_is_seen_in_the_span(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="x"), tracing(spans).span("a", "consumer", SAMPLED):
        raise ValueError("x")
    converted = ZipkinExporter("http://z", "order")._to_zipkin(spans.get_finished_spans()[0])
    assert "ValueError" in converted["tags"]["error"]


def test_zipkin_is_told_kind_parent_and_service(spans: InMemorySpanExporter) -> None:
    with tracing(spans).span("publish", "producer", SAMPLED, topic="orders"):
        pass
    converted = ZipkinExporter("http://z", "order")._to_zipkin(spans.get_finished_spans()[0])
    assert converted["kind"] == "PRODUCER"
    assert converted["parentId"] == "b7ad6b7169203331"
    assert converted["localEndpoint"] == {"serviceName": "order"}
    assert converted["tags"] == {"topic": "orders"}
    assert converted["duration"] >= 1


def test_zipkin_needs_an_http_address() -> None:
    with pytest.raises(ValueError, match="http"):
        ZipkinExporter("file:///etc/passwd", "order")
