"""What the schema cannot say, said with field and way out."""

from collections.abc import Callable
from typing import Any

import pytest

from eventpipeline_operator.api.validation import validate
from unit.operator.bodies import build_pipeline, build_spec

Json = dict[str, Any]
WORKER = "spec.services[order].workers[relay]"
CHANCE = "add it there or correct the name"


def order(spec: Json) -> Json:
    found: Json = spec["services"][0]
    return found


def test_the_example_has_no_complaint() -> None:
    assert validate(build_pipeline()) == []


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (
            lambda s: order(s)["workers"][0].update(produces=["nowhere"]),
            f"{WORKER}.produces: 'nowhere' is not in spec.topics: {CHANCE}",
        ),
        (
            lambda s: order(s)["workers"][0].update(consumes=["nowhere"]),
            f"{WORKER}.consumes: 'nowhere' is not in spec.topics: {CHANCE}",
        ),
        (
            lambda s: order(s).update(secrets=["nowhere"]),
            f"spec.services[order].secrets: 'nowhere' is not in spec.secrets: {CHANCE}",
        ),
        (
            lambda s: order(s)["migrate"].update(secrets=["nowhere"]),
            f"spec.services[order].migrate.secrets: 'nowhere' is not in spec.secrets: {CHANCE}",
        ),
        (
            lambda s: order(s).update(calls=["nowhere"]),
            "spec.services[order].calls: 'nowhere' is not in spec.services with a port: " + CHANCE,
        ),
        (
            lambda s: s.update(networkPolicy={}),
            (
                "spec.networkPolicy.ingressFrom is needed by paths: say in which namespace the "
                "ingress controller runs"
            ),
        ),
        (
            lambda s: s.update(networkPolicy={"ingressFrom": [{"cidr": "10.0.0.1/8"}]}),
            "spec.networkPolicy: '10.0.0.1/8' is no CIDR, or has bits beyond its mask: correct it",
        ),
        (
            lambda s: order(s).update(egress=["10.0.0.0/40:443"]),
            "spec.services[order].egress: 10.0.0.0/40:443 can be nowhere: correct the entry",
        ),
        (
            lambda s: order(s)["workers"][0].update(egress=["db:99999"]),
            f"{WORKER}.egress: db:99999 can be nowhere: correct the entry",
        ),
        (
            lambda s: s["topics"].append({"name": "orders", "topicName": "team.second"}),
            "spec.topics: 'orders' is there 2 times: rename or remove one",
        ),
        (
            lambda s: s["topics"].append({"name": "again", "topicName": "team.shop.orders"}),
            "spec.topics: 2 entries name the Kafka topic 'team.shop.orders': keep one",
        ),
        (
            lambda s: s["topics"][0].update(partitions=-1),
            "spec.topics[orders].partitions must be at least 1",
        ),
        (
            lambda s: s.pop("vault"),
            "spec.vault is needed by spec.secrets: say where Vault is and how to log in",
        ),
        (
            lambda s: s["secrets"][0].update(files={"DATABASE_URL": "x"}),
            "spec.secrets[db]: 'DATABASE_URL' is both in env and in files: rename one",
        ),
        (
            lambda s: s["services"].append({"name": "order-relay", "image": "x", "port": 1}),
            (
                "spec.services[order-relay]: its objects would be named 'order-relay' like "
                f"those of {WORKER}: rename one"
            ),
        ),
        (
            lambda s: order(s)["workers"][0].update(name="migrate"),
            (
                "spec.services[order].workers[migrate]: the operator uses the name 'migrate' "
                "itself: rename the worker"
            ),
        ),
        (
            lambda s: s["config"].update(PORT="1"),
            "spec.config.PORT: the operator sets this variable itself: remove or rename it",
        ),
        (
            lambda s: s["secrets"][0]["env"].update(KAFKA_KEY="1"),
            (
                "spec.secrets[db].env.KAFKA_KEY: the operator sets this variable itself: remove or "
                "rename it"
            ),
        ),
        (
            lambda s: order(s)["workers"][0].update(config={"STOCK_URL": "1"}),
            (
                f"{WORKER}: the variable STOCK_URL comes from 2 of its secrets, config and calls: "
                "rename one"
            ),
        ),
    ],
)
def test_a_mistake_is_named_with_its_field(spoil: Callable[[Json], Any], complaint: str) -> None:
    spec = build_spec()
    spoil(spec)
    assert validate(build_pipeline(spec)) == [complaint]


def test_a_workers_config_may_replace_its_services() -> None:
    spec = build_spec()
    order(spec)["workers"][0]["config"] = {"LOG_LEVEL": "debug", "DATABASE_OWNER": "other"}
    assert validate(build_pipeline(spec)) == []
