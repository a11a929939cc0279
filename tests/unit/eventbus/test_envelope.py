"""CloudEvents in binary mode, identifiers and times."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from eventbus.envelope import Event, Record, read_event, timestamp
from eventbus.errors import InvalidRecord
from eventbus.identity import new_id

EVENT = Event("OrderPlaced", "1", "/shop/order", "subject", "now", b"{}", "trace", "cause")


def _record(headers: tuple[tuple[str, bytes], ...], value: bytes | None = b"{}") -> Record:
    return Record("t", 0, 0, b"k", value, headers)


def test_an_event_survives_the_journey() -> None:
    assert read_event(_record(EVENT.to_headers())) == EVENT


def test_header_names_may_come_in_capitals() -> None:
    headers = tuple((name.upper(), value) for name, value in EVENT.to_headers())
    assert read_event(_record(headers)).type == "OrderPlaced"


@pytest.mark.parametrize(
    ("headers", "value", "cause"),
    [
        ((), b"{}", "ce_id, ce_source, ce_type missing"),
        (EVENT.to_headers(), None, "no value"),
        ((("ce_id", b"\xff"),), b"{}", "not text"),
        ((*EVENT.to_headers(), ("ce_specversion", b"9")), b"{}", "version 9"),
    ],
)
def test_what_is_no_event_says_why(
    headers: tuple[tuple[str, bytes], ...], value: bytes | None, cause: str
) -> None:
    with pytest.raises(InvalidRecord, match=cause):
        read_event(_record(headers, value))


def test_times_are_utc_with_microseconds() -> None:
    moment = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(moment) == "2026-01-01T00:00:00.000000Z"
    assert timestamp(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"


def test_identifiers_are_versioned_unique_and_ordered_by_time() -> None:
    made = [new_id() for _ in range(2_000)]
    assert len(set(made)) == 2_000
    assert {UUID(text).version for text in made} == {7}
    prefixes = [text[:13] for text in made]
    assert prefixes == sorted(prefixes)
