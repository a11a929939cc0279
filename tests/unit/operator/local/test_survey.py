"""What is said of a pipeline, from its status and its lag."""

import sys
from dataclasses import replace

import pytest

from eventpipeline_operator.adapters.local.lag import build_groups, lag_by_topic
from eventpipeline_operator.adapters.local.presenter import Presenter
from eventpipeline_operator.adapters.local.survey import describe_state, secret_rows, topic_rows
from eventpipeline_operator.adapters.local.view import Mood, Site, View
from eventpipeline_operator.api.offsets import GroupOffsets, PartitionOffsets
from eventpipeline_operator.api.types import EventPipeline


def status(ready: str, generation: int = 1) -> dict[str, object]:
    condition = {
        "type": "Ready",
        "status": ready,
        "observedGeneration": generation,
        "reason": "RollingOut",
        "message": "order",
    }
    return {"conditions": [condition], "url": "http://shop.localhost:8088"}


def test_before_the_first_word_it_is_starting(pipeline: EventPipeline) -> None:
    assert describe_state(pipeline, {}) == Site("team/shop", ready=False, reason="starting")


@pytest.mark.parametrize("said", ["True", "False", "Unknown"])
def test_it_is_ready_when_its_condition_says_so(pipeline: EventPipeline, said: str) -> None:
    assert describe_state(pipeline, status(said)).ready is (said == "True")


def test_what_was_said_of_an_earlier_generation_does_not_count(pipeline: EventPipeline) -> None:
    assert not describe_state(replace(pipeline, generation=2), status("True")).ready


def test_topics_tell_what_waits_for_whom(pipeline: EventPipeline) -> None:
    there = {"topics": {"items": [{"topicName": "team.shop.orders", "id": "x"}]}}
    waiting = {("team.shop.orders", "order-consumer"): 3, ("team.shop.other", "x"): 9}
    orders, letters = topic_rows(pipeline, there, waiting)
    assert (orders.state, orders.mood) == ("6 partitions", Mood.GOOD)
    assert orders.details["lag"] == "3 order-consumer"
    assert (letters.state, letters.mood) == ("missing", Mood.BUSY)


def test_secrets_tell_their_version_alone(pipeline: EventPipeline) -> None:
    (missing,) = secret_rows(pipeline, {})
    (there,) = secret_rows(pipeline, {"secrets": [{"name": "db", "version": "4"}]})
    assert (missing.state, there.state) == ("missing", "delivered 4")


def test_every_consumer_has_a_group(pipeline: EventPipeline) -> None:
    groups = build_groups(pipeline)
    assert list(groups) == ["order-consumer"]
    assert groups["order-consumer"].group == "team.shop.order.consumer"
    assert groups["order-consumer"].topics == ("team.shop.orders",)


def test_lag_is_summed_over_partitions() -> None:
    offsets = {("a", 0): PartitionOffsets(0, 5, 3), ("a", 1): PartitionOffsets(0, 4, None)}
    assert lag_by_topic(GroupOffsets({**offsets, ("b", 0): PartitionOffsets(0, 1, 1)})) == {
        "a": 6,
        "b": 0,
    }


class Noting:
    """A screen that takes note."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def show(self, view: View) -> None:
        """Nobody looks."""

    def say(self, words: str) -> None:
        self.said.append(words)

    def close(self) -> None:
        """Nothing is open."""


async def test_a_command_that_follows_is_heard_when_all_is_ready() -> None:
    screen = Noting()
    presenter = Presenter(screen)
    presenter.ready.set()
    script = "import os; print(os.environ['EVENTPIPELINE_ENTRY']); raise SystemExit(3)"
    told = {"EVENTPIPELINE_ENTRY": "http://127.0.0.1:8088"}
    await presenter.follow_up((sys.executable, "-c", script), told)
    assert screen.said == ["http://127.0.0.1:8088", f"{sys.executable} ends with exit code 3"]
