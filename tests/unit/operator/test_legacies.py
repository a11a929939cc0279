"""The record of what is left behind: readable, complete as far as it fits, and bounded."""

import json
from dataclasses import replace

from eventpipeline_operator.adapters.kube.legacies import (
    ENTRY_BYTES,
    TOTAL_BYTES,
    bounded,
    render,
)
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.policies.deletion import Left, Obstacle
from eventpipeline_operator.reconcile.ports import Legacy


def legacy(*left: Left) -> Legacy:
    return Legacy(Key("team", "shop"), "uid-1", "kafka:9092", "2026-01-01T00:00:00Z", left)


def test_an_entry_names_each_topic_and_why_it_stays() -> None:
    found = json.loads(
        render(
            legacy(
                Left("a", Obstacle.TOO_MANY_RECORDS, "9 records are more than 3"),
                Left("b", Obstacle.RETAINED),
            )
        )
    )
    assert found["topics"] == {
        "a": "TooManyRecords: 9 records are more than 3", "b": "Retained",
    }  # fmt: skip
    assert (found["kafka"], found["uid"], found["at"][:4]) == ("kafka:9092", "uid-1", "2026")


def test_kafka_users_that_stay_are_named_too() -> None:
    users = ("team.shop.order.relay",)
    found = json.loads(render(replace(legacy(), users=users)))
    assert found["users"] == list(users)
    assert "users" not in json.loads(render(legacy()))


def test_where_messages_are_too_much_all_topics_are_still_named() -> None:
    left = [Left(f"team.shop.{n}", Obstacle.OFFSETS_OUTSIDE, "x" * 500) for n in range(1000)]
    text = render(legacy(*left))
    assert len(text) <= ENTRY_BYTES
    assert len(json.loads(text)["topics"]) == 1000


def test_an_entry_that_is_too_long_even_so_says_how_many_are_missing() -> None:
    left = [Left(f"{n}-{'t' * 240}", Obstacle.RETAINED) for n in range(4000)]
    text = render(legacy(*left))
    found = json.loads(text)
    assert len(text) <= ENTRY_BYTES
    assert len(found["topics"]) + found["more"] == 4000


def test_the_oldest_entries_and_foreign_ones_go_first() -> None:
    long = "x" * (TOTAL_BYTES // 3)
    entries = {
        f"e{n}": json.dumps({"at": f"2026-01-0{n}", "topics": {"t": long}}) for n in range(1, 6)
    }
    kept = bounded({**entries, "foreign": "no JSON"})
    assert list(kept) == ["e5", "e4"]
