from datetime import UTC, datetime
from typing import Any

import click

from eventpipeline_operator.cli.overview import (
    build_list,
    build_overview,
    render_list,
    render_overview,
)

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WIDTH = 200


def build_object(**status: Any) -> Json:
    return {
        "metadata": {
            "namespace": "team",
            "name": "shop",
            "generation": 3,
            "creationTimestamp": "2026-01-01T09:00:00Z",
        },
        "spec": {
            "topics": [
                {"name": "orders", "partitions": 6},
                {"name": "prices", "external": {"topicName": "market.prices"}},
            ]
        },
        "status": status,
    }


def condition(kind: str, status: str, reason: str, message: str = "said") -> Json:
    since = "2026-01-01T11:59:00Z"
    return {
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": since,
    }  # fmt: skip


def build_deployment(available: int, wanted: int) -> Json:
    container = {"image": "order:1"}
    return {
        "metadata": {
            "namespace": "team",
            "name": "shop-order",
            "uid": "u",
            "resourceVersion": "1",
            "generation": 1,
            "labels": {
                "eventpipeline.dev/pipeline": "shop",
                "eventpipeline.dev/workload": "order",
            },
        },
        "spec": {"replicas": wanted, "template": {"spec": {"containers": [container]}}},
        "status": {"observedGeneration": 1, "updatedReplicas": wanted,
                   "availableReplicas": available},
    }  # fmt: skip


def shown(body: Json, **children: Any) -> str:
    return click.unstyle(render_overview(build_overview(body, children), NOW, WIDTH))


def test_conditions_come_with_reason_message_and_age() -> None:
    body = build_object(
        observedGeneration=2,
        conditions=[
            condition("Ready", "False", "KafkaUnavailable", "Kafka at k:9092 does not answer"),
            condition("Reconciling", "True", "KafkaUnavailable"),
            condition("SecretsReady", "True", "SecretsInSync"),
        ],
    )
    lines = shown(body).splitlines()
    assert lines[0] == "team/shop  generation 3  (the operator has seen 2)  3h old"
    assert lines[3].split() == [
        "✗", "Ready", "60s", "KafkaUnavailable", "Kafka", "at", "k:9092", "does", "not", "answer",
    ]  # fmt: skip
    assert lines[4].startswith("…")
    assert lines[5].startswith("✓")


def test_topics_are_shown_with_what_is_recorded_of_them() -> None:
    items = [{"topicName": "team.shop.orders", "id": "id-1"}, {"topicName": "team.shop.x.dlq"}]
    text = shown(build_object(topics={"items": items}))
    rows = [line.split() for line in text.split("TOPIC")[1].splitlines()[1:]]
    assert rows[0] == ["orders", "team.shop.orders", "6", "id-1"]
    assert rows[1] == ["prices", "(external)", "market.prices"]
    assert rows[2] == ["(dead", "letters)", "team.shop.x.dlq"]


def test_a_workload_is_marked_by_how_far_it_is() -> None:
    text = shown(build_object(), Deployment=[build_deployment(2, 2), build_deployment(1, 2)])
    rows = [line.split() for line in text.split("WORKLOAD")[1].splitlines()[1:]]
    assert rows == [["✓", "order", "2/2", "order:1"], ["…", "order", "1/2", "order:1"]]


def test_a_list_has_one_line_for_each() -> None:
    ready = build_object(
        conditions=[condition("Ready", "True", "Succeeded", "all is well")],
        url="http://shop.localhost",
        topics={"summary": "2/2"},
        services={"summary": "1/1"},
    )
    lines = click.unstyle(render_list(build_list([ready, build_object()]), NOW, WIDTH)).splitlines()
    assert lines[1].split() == [
        "✓", "team", "shop", "2/2", "1/1", "3h", "http://shop.localhost", "Succeeded", "all",
        "is", "well",
    ]  # fmt: skip
    assert lines[2].endswith("the operator has not looked at it yet")


def test_an_empty_list_says_so() -> None:
    assert render_list([], NOW, WIDTH) == "no EventPipeline here"
