"""The many futures of one call to Kafka."""

import threading
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from eventpipeline_operator.adapters.kafka_answers import settle


def fulfil(futures: dict[str, Future[Any]], answers: dict[str, object]) -> None:
    for name, answer in answers.items():
        if isinstance(answer, BaseException):
            futures[name].set_exception(answer)
        else:
            futures[name].set_result(answer)


async def test_each_gets_its_answer_or_the_brokers_refusal() -> None:
    futures: dict[str, Future[Any]] = {name: Future() for name in ("a", "b", "c")}
    refusal = KafkaError(KafkaError.INVALID_CONFIG)
    answers: dict[str, object] = {"a": 1, "b": KafkaException(refusal), "c": None}
    futures["a"].set_result(answers.pop("a"))
    threading.Thread(target=fulfil, args=(futures, answers)).start()
    assert await settle("create_topics", futures) == {"a": 1, "b": refusal, "c": None}


async def test_what_is_no_answer_of_kafkas_is_raised() -> None:
    futures: dict[str, Future[Any]] = {"a": Future()}
    fulfil(futures, {"a": ValueError("of our own")})
    with pytest.raises(ValueError, match="our own"):
        await settle("create_topics", futures)


async def test_nothing_asked_is_nothing_answered() -> None:
    assert await settle("create_topics", {}) == {}
