from datetime import UTC, datetime

import pytest

from eventpipeline_operator.cli.letters import (
    ANYWHERE,
    Letter,
    choose,
    describe,
    letter_boxes,
    outline,
    redriven,
)
from unit.operator.bodies import build_pipeline

(BOX,) = letter_boxes(build_pipeline())


def build_letter(offset: int = 0, value: bytes | None = b'{"a": [1, "x"], "b": null}',
                 **headers: str) -> Letter:  # fmt: skip
    carried = {"dlq_origin": "team.shop.stock-events/2/9", "ce_type": "StockReserved", **headers}
    return Letter(
        BOX, 0, offset, "2026-01-01T10:00:00Z", b"key", value,
        tuple((k, v.encode()) for k, v in carried.items()),
    )  # fmt: skip


def test_each_consumed_topic_of_a_service_has_a_box() -> None:
    assert (str(BOX), BOX.topic, BOX.origin) == (
        "stock-events.order", "team.shop.stock-events.order.dlq", "team.shop.stock-events",
    )  # fmt: skip


def test_a_letter_is_shown_by_its_shape() -> None:
    shown = describe(build_letter(trace="secret", dlq_cause="bad a.b@c.org, sorry"))
    assert shown["value"] == {"a": ["[masked]", "[masked]"], "b": None}
    assert shown["headers"] == {"ce_type": "StockReserved", "trace": "[masked]"}
    assert (shown["key"], shown["cause"]) == ("[masked]", "bad [masked], sorry")


@pytest.mark.parametrize(
    ("value", "masked"),
    [(None, None), (b"not json", "[masked] (8 bytes, not JSON)"), (b'"x"', "[masked]")],
)
def test_other_content_is_masked_as_well(value: bytes | None, masked: object) -> None:
    assert describe(build_letter(value=value))["value"] == masked


def test_revealed_it_is_shown_as_it_is() -> None:
    shown = describe(build_letter(dlq_cause="bad a@b.org"), reveal=True)
    assert shown["value"] == {"a": [1, "x"], "b": None}
    assert (shown["key"], shown["cause"]) == ("key", "bad a@b.org")


def test_letters_are_chosen_by_id_cause_and_time() -> None:
    letters = [build_letter(n, dlq_cause=cause) for n, cause in enumerate(("Too big", "odd"))]
    assert [c.offset for c in choose(letters, ["stock-events.order/0/1"], None, None)] == [1]
    assert [c.offset for c in choose(letters, [], "too", None)] == [0]
    assert not choose(letters, [], None, datetime(2026, 1, 2, tzinfo=UTC))


def test_it_goes_back_without_our_marks_to_where_it_came_from() -> None:
    letter = build_letter(dlq_cause="x")
    assert redriven(letter) == (("ce_type", b"StockReserved"),)
    assert letter.origin_partition == 2
    assert build_letter(dlq_origin="nonsense").origin_partition == ANYWHERE
    assert outline(build_letter(dlq_shortened_from="9"))["shortened"]
