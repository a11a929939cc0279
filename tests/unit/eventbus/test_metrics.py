"""What a worker tells Prometheus: series from the first moment, and the way to a trace."""

from collections.abc import Iterator

import pytest
import requests
from prometheus_client import REGISTRY
from pydantic import BaseModel

from eventbus.batch import BatchConsumer, ConsumerOptions
from eventbus.envelope import Event, Outgoing
from eventbus.memory import MemoryBroker, MemoryConsumer
from eventbus.metrics import BATCH_RECORDS, CONSUMED, exemplar
from eventbus.probes import ProbeServer
from eventbus.tracing import Tracing
from fakes.eventbus import FakeInbox
from fakes.time import FakeClock
from servers.local import free_port

TRACE = "0af7651916cd43dd8448eb211c80319c"
RECORDED, UNRECORDED = (f"00-{TRACE}-b7ad6b7169203331-0{flag}" for flag in "10")
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


class Anything(BaseModel):
    pass


def consume(topic: str, *traces: str) -> BatchConsumer:
    """A consumer that has handled an event for each trace, in one batch."""
    broker = MemoryBroker()
    broker.create_topic(topic)
    for trace in traces:
        event = Event("Anything", "1", "/test", "s", "t", b"{}", trace)
        broker.append(Outgoing(topic, b"key", event.data, event.to_headers()))
    consumer = BatchConsumer(
        MemoryConsumer(broker, "group"),
        FakeInbox(),
        lambda *_: None,
        ConsumerOptions([topic], {"Anything": Anything}),
        Tracing(None, 0),
        FakeClock(),
    )
    consumer._consumer.subscribe([topic], consumer)
    consumer.step()
    return consumer


@pytest.fixture
def port() -> Iterator[int]:
    port = free_port()
    server = ProbeServer(port, lambda: True, lambda: True)
    server.start()
    yield port
    server.close()


def scrape(port: int, accept: str) -> tuple[str, str]:
    answer = requests.get(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept}, timeout=5)
    return answer.headers["Content-Type"], answer.text


@pytest.mark.parametrize(
    ("context", "labels"),
    [(RECORDED, {"trace_id": TRACE}), (UNRECORDED, None), (None, None)],
)
def test_only_a_recorded_trace_is_worth_an_exemplar(
    context: str | None, labels: dict[str, str] | None
) -> None:
    assert exemplar(context) == labels


def test_dead_letters_are_counted_from_zero() -> None:
    consume("quiet")
    labels = {"topic": "quiet", "outcome": "dead"}
    assert REGISTRY.get_sample_value("eventbus_consumed_total", labels) == 0.0
    assert CONSUMED


def test_a_batch_tells_its_size() -> None:
    before = REGISTRY.get_sample_value("eventbus_batch_records_sum") or 0.0
    consume("three", UNRECORDED, UNRECORDED, UNRECORDED)
    assert REGISTRY.get_sample_value("eventbus_batch_records_sum") == before + 3
    assert BATCH_RECORDS


def test_a_batch_leads_to_a_recorded_trace_of_it(port: int) -> None:
    consume("traced", UNRECORDED, RECORDED)
    content_type, text = scrape(port, OPEN_METRICS)
    assert content_type.startswith("application/openmetrics-text")
    assert f'# {{trace_id="{TRACE}"}}' in text
    content_type, text = scrape(port, "*/*")
    assert content_type.startswith("text/plain")
    assert TRACE not in text
