"""CloudEvents 1.0 in binary mode: attributes in `ce_*` headers, JSON in the value.

Written by the relay, read by consumers before anything else looks at a record.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from eventbus.errors import InvalidRecord

Headers = tuple[tuple[str, bytes], ...]

SPEC_VERSION = b"1.0"
CONTENT_TYPE = b"application/json"
DATA_VERSION = 1
_REQUIRED = ("ce_id", "ce_source", "ce_type")


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it lies in Kafka."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def origin(self) -> str:
        """Where it lies, for logs, causes and dead letters."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way to Kafka."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Event:
    """One event with its context attributes; `data` is JSON text."""

    type: str
    id: str
    source: str
    subject: str
    time: str
    data: bytes
    traceparent: str | None = None
    correlation_id: str | None = None

    def to_headers(self) -> Headers:
        """The `ce_*` headers, plus the W3C trace context."""
        headers = [
            ("ce_specversion", SPEC_VERSION),
            ("ce_id", self.id.encode()),
            ("ce_source", self.source.encode()),
            ("ce_type", self.type.encode()),
            ("ce_subject", self.subject.encode()),
            ("ce_time", self.time.encode()),
            ("ce_dataversion", str(DATA_VERSION).encode()),
            ("content-type", CONTENT_TYPE),
        ]
        if self.correlation_id:
            headers.append(("ce_correlationid", self.correlation_id.encode()))
        if self.traceparent:
            headers.append(("traceparent", self.traceparent.encode()))
        return tuple(headers)


def read_event(record: Record) -> Event:
    """The event in a record; `InvalidRecord` says what is wrong with it."""
    if record.value is None:
        raise InvalidRecord("the record has no value")
    try:
        headers = {name.lower(): value.decode() for name, value in record.headers}
    except (UnicodeDecodeError, AttributeError) as error:
        raise InvalidRecord(f"a header is not text: {error}") from None
    missing = [name for name in _REQUIRED if not headers.get(name)]
    if missing:
        raise InvalidRecord(f"no CloudEvent: {', '.join(missing)} missing")
    if headers.get("ce_specversion", "1.0") != "1.0":
        raise InvalidRecord(f"CloudEvents version {headers['ce_specversion']} is not known")
    version = headers.get("ce_dataversion", "1").partition(".")[0]
    if version != str(DATA_VERSION):
        raise InvalidRecord(f"data version {version} of {headers['ce_type']} is not known")
    return Event(
        type=headers["ce_type"],
        id=headers["ce_id"],
        source=headers["ce_source"],
        subject=headers.get("ce_subject", ""),
        time=headers.get("ce_time", ""),
        data=record.value,
        traceparent=headers.get("traceparent"),
        correlation_id=headers.get("ce_correlationid"),
    )


def read_time(event: Event) -> datetime:
    """When it happened; `InvalidRecord` if the event does not say, or not in RFC 3339."""
    try:
        moment = datetime.fromisoformat(event.time)
    except ValueError:
        raise InvalidRecord(f"{event.type}: ce_time is no time") from None
    if moment.tzinfo is None:
        raise InvalidRecord(f"{event.type}: ce_time has no zone")
    return moment


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as in events and answers."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
