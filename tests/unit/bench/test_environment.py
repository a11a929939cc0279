from typing import Any

import pytest
import yaml

from eventbench.environment import ROLES, SERVICES, Role, Site, build_environment
from servers.local import REPOSITORY

SITE = Site(
    prefix="bench-1",
    kafka="127.0.0.1:9092",
    databases={service: f"postgresql://127.0.0.1/{service}" for service in SERVICES},
    smtp_port=1025,
    zipkin_port=9411,
)


def role_named(name: str) -> Role:
    return next(role for role in ROLES if role.name == name)


def example() -> dict[str, Any]:
    documents = yaml.safe_load_all((REPOSITORY / "examples" / "shop.yaml").read_text())
    return next(d["spec"] for d in documents if d["kind"] == "EventPipeline")


def test_the_workers_are_those_of_the_example() -> None:
    declared = {
        f"{service['name']}.{worker['name']}": tuple(worker["args"])
        for service in example()["services"]
        for worker in service["workers"]
    }
    assert {role.name: role.arguments for role in ROLES if role.worker} == declared


@pytest.mark.parametrize("role", [role for role in ROLES if role.worker is None])
def test_an_api_is_told_nothing_about_kafka(role: Role) -> None:
    environment = build_environment(role, SITE, 8080)
    assert not [name for name in environment if name.startswith(("KAFKA_", "TOPIC_", "DLQ_"))]
    assert environment["PORT"] == "8080"


def test_a_consumer_is_told_its_topic_dead_letters_and_group() -> None:
    environment = build_environment(role_named("stock.consumer"), SITE, 9090)
    assert environment["TOPIC_STOCK_COMMANDS"] == "bench-1.shop.stock-commands"
    assert environment["DLQ_STOCK_COMMANDS"] == "bench-1.shop.stock-commands.stock.dlq"
    assert environment["CONSUMER_GROUP"] == "bench-1.shop.stock.consumer"
    assert environment["METRICS_PORT"] == "9090"


def test_a_tenth_of_all_traces_is_sampled() -> None:
    assert build_environment(ROLES[0], SITE, 1)["OTEL_TRACES_SAMPLER_ARG"] == "0.1"


def test_every_consumed_topic_has_its_dead_letter_topic() -> None:
    assert set(SITE.all_topics()) == {
        "bench-1.shop.orders",
        "bench-1.shop.stock-commands",
        "bench-1.shop.stock-events",
        "bench-1.shop.orders.email.dlq",
        "bench-1.shop.orders.order.dlq",
        "bench-1.shop.stock-commands.stock.dlq",
        "bench-1.shop.stock-events.order.dlq",
    }
