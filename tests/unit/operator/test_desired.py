"""Spec → records."""

from typing import Any

import pytest

from eventpipeline_operator.api.inheritance import effective_container
from eventpipeline_operator.api.observed import ObservedTopic
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.desired.records import SecretReference, TopicRecord
from eventpipeline_operator.desired.routes import build_route
from eventpipeline_operator.desired.secrets import build_secret, source_of
from eventpipeline_operator.desired.topic_plan import plan_topics
from eventpipeline_operator.desired.topics import build_topics
from eventpipeline_operator.desired.workloads import build_migration, build_workloads
from eventpipeline_operator.errors import Stalled
from unit.operator.bodies import build_pipeline, build_spec

DELIVERED = {
    "db": SecretReference("db", "r1", "1", env=("DATABASE_URL",)),
    "mail": SecretReference("mail", "r2", "1", files=("smtp.json",)),
}


def test_every_consumed_topic_gets_a_dead_letter_topic_kept_for_ever() -> None:
    records = {r.name: r for r in build_topics(build_pipeline())}
    assert set(records) == {
        "team.shop.orders",
        "team.shop.stock-events",
        "team.shop.stock-events.order.dlq",
    }
    assert records["team.shop.orders"].partitions == 6
    assert records["team.shop.orders"].config == {"retention.ms": "-1"}
    assert records["team.shop.stock-events.order.dlq"].config == {"retention.ms": "-1"}


def test_dead_letters_of_a_foreign_topic_stay_in_ones_own_prefix() -> None:
    spec = build_spec()
    spec["topics"][1] = {"name": "stock-events", "external": {"topicName": "other.events"}}
    names = [r.name for r in build_topics(build_pipeline(spec))]
    assert names[1:] == ["other.events", "team.shop.stock-events.order.dlq"]


def test_a_worker_is_told_what_the_contract_promises() -> None:
    pipeline = build_pipeline()
    workloads = {w.name: w for w in build_workloads(pipeline, pipeline.services[0], DELIVERED)}
    assert workloads["order-consumer"].env == {
        "LOG_LEVEL": "info",
        "DATABASE_OWNER": "orders",
        "PIPELINE": "shop",
        "SERVICE": "order",
        "WORKER": "consumer",
        "METRICS_PORT": "9090",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
        "TOPIC_STOCK_EVENTS": "team.shop.stock-events",
        "DLQ_STOCK_EVENTS": "team.shop.stock-events.order.dlq",
        "CONSUMER_GROUP": "team.shop.order.consumer",
        "STOCK_URL": "http://shop-stock.team.svc:8081",
        "OTEL_SERVICE_NAME": "order",
        "OTEL_TRACES_EXPORTER": "zipkin",
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT": "http://zipkin:9411/api/v2/spans",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.5",
    }
    assert workloads["order-consumer"].secrets == (DELIVERED["db"],)


def test_an_api_is_told_its_port_and_no_topic() -> None:
    pipeline = build_pipeline()
    api = build_workloads(pipeline, pipeline.services[0], DELIVERED)[0]
    assert api.env["PORT"] == "8080"
    assert not {"WORKER", "METRICS_PORT", "CONSUMER_GROUP"} & set(api.env)
    assert not [name for name in api.env if name.startswith(("TOPIC_", "DLQ_"))]


def test_a_given_consumer_group_is_kept() -> None:
    spec = build_spec()
    spec["services"][0]["workers"][1]["consumerGroup"] = "of-old"
    pipeline = build_pipeline(spec)
    worker = build_workloads(pipeline, pipeline.services[0], DELIVERED)[2]
    assert worker.env["CONSUMER_GROUP"] == "of-old"


def test_tracing_is_off_where_it_is_not_asked_for() -> None:
    spec = build_spec()
    del spec["tracing"]
    pipeline = build_pipeline(spec)
    api = build_workloads(pipeline, pipeline.services[0], DELIVERED)[0]
    assert api.env["OTEL_TRACES_EXPORTER"] == "none"


def test_a_service_without_a_port_has_only_workers() -> None:
    spec = build_spec()
    for field in ("port", "path"):
        del spec["services"][0][field]
    pipeline = build_pipeline(spec)
    names = [w.name for w in build_workloads(pipeline, pipeline.services[0], DELIVERED)]
    assert names == ["order-relay", "order-consumer"]


def test_a_worker_has_what_its_service_has_and_its_own_word_counts() -> None:
    spec = build_spec()
    spec["services"][0]["nodeSelector"] = {"disk": "fast"}
    spec["services"][0]["workers"][0].update(config={"DATABASE_OWNER": "mine"}, secrets=["mail"])
    service = build_pipeline(spec).services[0]
    container = effective_container(service, service.workers[0])
    assert container.config == {"DATABASE_OWNER": "mine"}
    assert container.secrets == ("db", "mail")
    assert container.calls == ("stock",)
    assert container.placement.node_selector == {"disk": "fast"}
    assert container.placement.resources == {}


@pytest.mark.parametrize(
    ("scale", "replicas"),
    [({}, None), ({"replicas": 3}, 3), ({"scale": {"min": 2, "max": 6}}, 2)],
)
def test_replicas_are_fixed_only_where_the_spec_fixes_them(
    scale: dict[str, Any], replicas: int | None
) -> None:
    spec = build_spec()
    spec["services"][0]["workers"][0].update(scale)
    pipeline = build_pipeline(spec)
    worker = build_workloads(pipeline, pipeline.services[0], DELIVERED)[1]
    assert worker.replicas == replicas


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"config": {"A": "b"}}, True),
        ({"secrets": ["mail"]}, True),
        ({"image": "order:2"}, False),
        ({"migrate": {"args": ["other"]}}, False),
    ],
)
def test_a_migration_runs_again_only_for_another_image_or_command(
    change: dict[str, Any], *, same: bool
) -> None:
    def revision(spec: dict[str, Any]) -> str:
        pipeline = build_pipeline(spec)
        record = build_migration(pipeline, pipeline.services[0], DELIVERED)
        assert record
        return record.revision

    spec = build_spec()
    spec["services"][0].update(change)
    assert (revision(spec) == revision(build_spec())) is same


def test_a_secret_is_rendered_and_its_revision_follows_the_values() -> None:
    pipeline = build_pipeline()
    spec = pipeline.secrets[0]
    record = build_secret(pipeline, spec, {"USER": "ada", "PASSWORD": "p@ss"}, "1", b"k")
    assert record.env == {"DATABASE_URL": "postgresql://ada:p%40ss@db/orders"}
    again = build_secret(pipeline, spec, {"USER": "ada", "PASSWORD": "p@ss", "X": 1}, "2", b"k")
    assert again.revision == record.revision
    other = build_secret(pipeline, spec, {"USER": "eve", "PASSWORD": "p@ss"}, "1", b"k")
    assert other.revision != record.revision
    stranger = build_secret(pipeline, spec, {"USER": "ada", "PASSWORD": "p@ss"}, "1", b"l")
    assert stranger.revision != record.revision
    assert "p%40ss" not in repr(record)


def test_the_same_value_in_two_pipelines_has_two_names() -> None:
    values = {"USER": "ada", "PASSWORD": "p"}
    here, there = build_pipeline(), build_pipeline(namespace="other")
    one = build_secret(here, here.secrets[0], values, "1", b"k")
    assert one.revision != build_secret(there, there.secrets[0], values, "1", b"k").revision


def test_a_missing_key_names_the_field() -> None:
    pipeline = build_pipeline()
    with pytest.raises(Stalled, match=r"spec.secrets\[db\].env.DATABASE_URL: no key 'PASSWORD'"):
        build_secret(pipeline, pipeline.secrets[0], {"USER": "ada"}, "1", b"k")


@pytest.mark.parametrize(
    "change",
    [
        {"env": {"OTHER": "{USER}"}},
        {"vault": {"kv": {"path": "other"}}},
        {"vault": {"kv": {"path": "shop", "version": 3}}},
    ],
)
def test_a_source_changes_with_what_it_is_made_of(change: dict[str, Any]) -> None:
    spec = build_spec()
    before = build_pipeline(spec)
    spec["secrets"][0].update(change)
    after = build_pipeline(spec)
    assert source_of(before, before.secrets[0]) != source_of(after, after.secrets[0])


def test_the_route_takes_the_longest_path_first() -> None:
    spec = build_spec()
    spec["services"][1]["path"] = "/"
    route = build_route(build_pipeline(spec))
    assert route
    assert route.paths == (("/api/v1/order", "order", 8080), ("/", "stock", 8081))
    assert route.url == "http://shop.localhost"


@pytest.mark.parametrize("missing", ["ingress", "path"])
def test_without_host_or_path_there_is_no_route(missing: str) -> None:
    spec = build_spec()
    spec.pop(missing, None)
    for service in spec["services"]:
        service.pop(missing, None)
    assert build_route(build_pipeline(spec)) is None


def observed(**changes: Any) -> ObservedTopic:
    fields = {"partitions": 3, "replication_factor": 1, "config": {}, **changes}
    return ObservedTopic("t", "id", **fields)


WANTED = TopicRecord("t", "t", partitions=3)


@pytest.mark.parametrize(
    ("record", "live", "managed", "wanted"),
    [
        (WANTED, observed(), (), {}),
        (WANTED, None, (), {"create": ("t",)}),
        (WANTED, observed(partitions=1), (), {"grow": {"t": 3}}),
        (
            TopicRecord("t", "t", 3, config={"a": "1"}),
            observed(config={"a": "2"}),
            (),
            {"configure": {"t": {"a": "1"}}},
        ),
        (WANTED, observed(config={"theirs": "1"}), (), {}),
        (WANTED, observed(config={"a": "1"}), ("a",), {"configure": {"t": {"a": None}}}),
        (WANTED, observed(), ("a",), {}),
        (TopicRecord("t", "t", external=True), observed(partitions=9), (), {}),
        (WANTED, observed(partitions=6), (), {"problem": Reason.PARTITION_DECREASE}),
        (
            TopicRecord("t", "t", 3, replication_factor=3),
            observed(),
            (),
            {"problem": Reason.REPLICATION_DIFFERS},
        ),
        (
            TopicRecord("t", "t", external=True),
            None,
            (),
            {"problem": Reason.EXTERNAL_TOPIC_MISSING},
        ),
    ],
)
def test_the_plan_holds_what_differs(
    record: TopicRecord,
    live: ObservedTopic | None,
    managed: tuple[str, ...],
    wanted: dict[str, Any],
) -> None:
    plan = plan_topics([record], {"t": live} if live else {}, {"t": managed})
    assert tuple(r.name for r in plan.create) == wanted.get("create", ())
    assert plan.grow == wanted.get("grow", {})
    assert plan.configure == wanted.get("configure", {})
    problem = plan.problems.get("t")
    assert (problem.reason if problem else None) == wanted.get("problem")
