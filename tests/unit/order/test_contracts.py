"""What is really written is what the published models promise."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from eventbus.outbox import OutboxRow
from order_service.contracts import CONTRACTS
from order_service.domain import COMMANDS, TOPIC, Order, Status
from order_service.messages import announce
from order_service.relay import expand, reserve_command

NOW = datetime.now(UTC)
ORDER = Order("00000000-0000-7000-8000-000000000001", "book", 3, "ada@example.com", NOW)


def row(order: Order) -> OutboxRow:
    """An order's announcement as the relay finds it."""
    told = announce(order, None)
    return OutboxRow(
        id=1,
        topic=told.topic,
        key=told.key,
        type=told.type,
        event_id=told.event_id,
        subject=told.subject,
        data=told.data,
        raw=None,
        headers=None,
        traceparent=None,
        created_at=NOW,
    )


@pytest.mark.parametrize("status", Status)
def test_every_event_has_the_members_of_its_model_and_no_other(status: Status) -> None:
    for record in expand(row(replace(ORDER, status=status))):
        assert record.data is not None
        model = CONTRACTS.publishes[record.topic][record.type]
        assert model.model_validate_json(record.data).model_dump_json() == record.data


def test_every_promised_type_is_told() -> None:
    rows = [each for status in Status for each in expand(row(replace(ORDER, status=status)))]
    told = {topic: {r.type for r in rows if r.topic == topic} for topic in (TOPIC, COMMANDS)}
    assert told == {topic: set(types) for topic, types in CONTRACTS.publishes.items()}


def test_a_command_that_is_told_again_is_the_same() -> None:
    told = reserve_command(ORDER)
    (_, first) = expand(row(ORDER))
    assert (told.data, told.event_id, told.key) == (first.data, first.event_id, first.key)
