"""The graph of a pipeline → Kafka users, what each may do, and what a pod is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventpipeline_operator.adapters.kube.manifests import render
from eventpipeline_operator.api.observed import Acl, ObservedUsers
from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.desired.kafka_user_plan import UserPlan, plan_users
from eventpipeline_operator.desired.kafka_users import (
    ITERATIONS,
    build_kafka_users,
    build_login,
    name_login,
)
from eventpipeline_operator.desired.records import KafkaUserRecord, SecretReference
from eventpipeline_operator.desired.workloads import build_migration, build_workloads
from eventpipeline_operator.policies.grants import Grants, evaluate_groups
from unit.operator.bodies import build_pipeline, build_spec

Json = dict[str, Any]
KEY = Key("team", "shop")
RELAY, CONSUMER = "team.shop.order.relay", "team.shop.order.consumer"
DB = SecretReference("db", "r1", "1", env=("DATABASE_URL",))


def build_guarded(**kafka: Any) -> Json:
    """The usual spec with Kafka users."""
    spec = build_spec()
    spec["kafka"] |= {"users": {}, **kafka}
    return spec


def acls_of(pipeline: EventPipeline, user: str, **apart: Any) -> set[tuple[str, str, str]]:
    (record,) = (r for r in build_kafka_users(pipeline, **apart) if r.name == user)
    assert {acl.user for acl in record.acls} == {user}
    return {(a.operation, a.resource, a.name + ("*" if a.prefixed else "")) for a in record.acls}


def test_only_workloads_with_an_edge_have_a_user() -> None:
    records = build_kafka_users(build_pipeline(build_guarded()))
    assert {record.name for record in records} == {RELAY, CONSUMER}


def test_a_producer_may_write_its_topics_its_services_dead_letters_and_nothing_else() -> None:
    assert acls_of(build_pipeline(build_guarded()), RELAY) == {
        ("write", "topic", "team.shop.orders"),
        ("describe", "topic", "team.shop.orders"),
        ("write", "topic", "team.shop.stock-events.order.dlq"),
        ("describe", "topic", "team.shop.stock-events.order.dlq"),
        ("write", "transactional_id", f"{RELAY}.*"),
        ("describe", "transactional_id", f"{RELAY}.*"),
    }


def test_a_consumer_may_read_its_topics_and_join_its_groups_and_nothing_else() -> None:
    assert acls_of(build_pipeline(build_guarded()), CONSUMER) == {
        ("read", "topic", "team.shop.stock-events"),
        ("describe", "topic", "team.shop.stock-events"),
        ("write", "topic", "team.shop.stock-events.order.dlq"),
        ("describe", "topic", "team.shop.stock-events.order.dlq"),
        ("read", "group", CONSUMER),
        ("read", "group", f"{CONSUMER}.*"),
    }


def test_an_external_topic_is_named_as_its_owner_named_it() -> None:
    spec = build_guarded()
    spec["topics"][1] = {"name": "stock-events", "external": {"topicName": "market.stock.v3"}}
    acls = acls_of(build_pipeline(spec), CONSUMER)
    assert ("read", "topic", "market.stock.v3") in acls
    assert ("write", "topic", "team.shop.stock-events.order.dlq") in acls


def test_nothing_is_allowed_on_a_topic_that_is_not_shared() -> None:
    spec = build_guarded()
    spec["topics"][1] = {"name": "stock-events", "external": {"topicName": "market.stock.v3"}}
    acls = acls_of(build_pipeline(spec), CONSUMER, topics_apart={"market.stock.v3"})
    assert {resource for _, resource, _ in acls} == {"group"}


def test_a_given_group_takes_the_place_of_the_workers_own() -> None:
    spec = build_guarded()
    spec["services"][0]["workers"][1]["consumerGroup"] = "team.kept"
    acls = acls_of(build_pipeline(spec), CONSUMER)
    assert {name for _, resource, name in acls if resource == "group"} == {
        "team.kept", "team.kept.*",
    }  # fmt: skip


def test_a_group_outside_of_what_the_namespace_may_name_is_refused() -> None:
    spec = build_guarded()
    spec["services"][0]["workers"][1]["consumerGroup"] = "finance.ledger"
    pipeline = build_pipeline(spec)
    (problem,) = evaluate_groups(pipeline, Grants()).values()
    assert "spec.services[order].workers[consumer].consumerGroup: finance.ledger" in problem.message
    acls = acls_of(pipeline, CONSUMER, groups_apart={"finance.ledger"})
    assert "group" not in {resource for _, resource, _ in acls}
    assert evaluate_groups(pipeline, Grants(topics={"team": ("finance.",)})) == {}


def test_an_api_has_a_user_only_where_it_runs() -> None:
    spec = build_guarded()
    spec["services"][1] |= {"produces": ["stock-events"]}
    names = {r.name for r in build_kafka_users(build_pipeline(spec))}
    assert "team.shop.stock.api" in names
    del spec["services"][1]["port"], spec["services"][1]["path"], spec["services"][0]["calls"]
    assert build_kafka_users(build_pipeline(spec))[-1].name == CONSUMER


def environments(kafka: Json) -> dict[str, Json]:
    """What containers are told, by workload; a reference stands for a value."""
    pipeline = build_pipeline(build_guarded(**kafka))
    delivered = {"db": DB}
    for user in (RELAY, CONSUMER):
        login = build_login(pipeline, user, "s3cret", b"key").reference
        delivered[login.entry] = login
    told = {}
    records = [
        record
        for service in pipeline.services
        for record in build_workloads(pipeline, service, delivered)
    ]
    job = build_migration(pipeline, pipeline.services[0], delivered)
    assert job
    for record in (*records, job.workload):
        manifests = render(pipeline, record)
        container = next(
            m["spec"]["template"]["spec"]["containers"][0]
            for m in manifests
            if m["kind"] == "Deployment"
        )
        told[record.name] = {
            **next(m["data"] for m in manifests if m["kind"] == "ConfigMap"),
            **{e["name"]: e.get("value") or e["valueFrom"] for e in container["env"]},
        }
    return told


def test_a_workload_with_an_edge_is_told_its_login_by_reference() -> None:
    client = {"tls": {"caSecret": "ca"}, "sasl": {"mechanism": "PLAIN", "secret": "operators"}}
    told = environments({"client": client})
    for name, user in (("order-relay", RELAY), ("order-consumer", CONSUMER)):
        env = told[name]
        assert env["KAFKA_SECURITY_PROTOCOL"] == "SASL_SSL"
        assert env["KAFKA_SASL_MECHANISM"] == "SCRAM-SHA-512"
        assert env["KAFKA_SSL_CA_LOCATION"].endswith("ca.crt")
        reference = env["KAFKA_SASL_PASSWORD"]["secretKeyRef"]
        assert reference["name"].startswith(f"shop-kafka.{user.removeprefix('team.shop.')}-")
    assert "operators" not in str(told)


@pytest.mark.parametrize("workload", ["order", "stock", "order-migrate"])
def test_a_workload_without_an_edge_is_told_no_login(workload: str) -> None:
    sasl = {"mechanism": "SCRAM-SHA-512", "secret": "operators"}
    told = environments({"client": {"sasl": sasl}})[workload]
    assert [name for name in told if name.startswith("KAFKA_")] == ["KAFKA_BOOTSTRAP_SERVERS"]


def test_switched_off_workloads_log_in_as_the_client_says() -> None:
    sasl = {"mechanism": "SCRAM-SHA-512", "secret": "login"}
    spec = build_guarded(client={"sasl": sasl}, users={"enabled": False})
    pipeline = build_pipeline(spec)
    records = build_workloads(pipeline, pipeline.services[0], {"db": DB})
    assert {record.kafka_client for record in records} == {pipeline.kafka_client}


def test_a_login_does_not_show_its_password() -> None:
    login = build_login(build_pipeline(build_guarded()), RELAY, "s3cret", b"key")
    assert "s3cret" not in repr(login)
    assert login.env["KAFKA_SASL_USERNAME"] == RELAY
    assert name_login(build_pipeline(), RELAY, login.revision) == login.reference


# The plan

MAY = Acl(RELAY, "topic", "team.shop.orders", "write")
ONE = KafkaUserRecord(RELAY, frozenset({MAY}))
THERE = ObservedUsers({RELAY: ITERATIONS}, frozenset({MAY}))


def test_what_is_as_wanted_is_not_touched() -> None:
    assert plan_users(KEY, [ONE], THERE, {RELAY}) == UserPlan()


@pytest.mark.parametrize(
    ("observed", "delivered"),
    [
        (ObservedUsers({}, THERE.acls), {RELAY}),
        (ObservedUsers({RELAY: ITERATIONS + 1}, THERE.acls), {RELAY}),
        (THERE, set()),
    ],
    ids=["Kafka has no such user", "its password is of other strength", "its login is lost"],
)
def test_a_user_is_admitted_when(observed: ObservedUsers, delivered: set[str]) -> None:
    assert plan_users(KEY, [ONE], observed, delivered) == UserPlan(admit=(RELAY,))


def test_more_than_the_graph_says_is_taken_back() -> None:
    more = Acl(RELAY, "cluster", "kafka-cluster", "alter")
    observed = ObservedUsers(THERE.iterations, THERE.acls | {more})
    assert plan_users(KEY, [ONE], observed, {RELAY}).forbid == {more}


def test_a_user_stays_with_its_rights_while_a_pod_has_its_login() -> None:
    assert plan_users(KEY, [], THERE, (), {RELAY}) == UserPlan(leaving=(RELAY,))
    assert plan_users(KEY, [], THERE) == UserPlan(forbid=THERE.acls, dismiss=(RELAY,))


def test_without_an_authorizer_nothing_is_allowed() -> None:
    observed = ObservedUsers(THERE.iterations, frozenset(), authorizer=False)
    assert plan_users(KEY, [ONE], observed, {RELAY}) == UserPlan()


USERS = st.sampled_from(
    [RELAY, CONSUMER, "team.shop.stock.api",
     "team.shop.reader", "team.shop.a.b.c", "team.shopping.order.relay", "admin"]
)  # fmt: skip
ACLS = st.frozensets(
    st.builds(
        Acl, USERS, st.sampled_from(["topic", "group"]), st.sampled_from(["a", "b"]),
        st.sampled_from(["read", "write"]), st.booleans(),
    )
)  # fmt: skip
OWN = {RELAY, CONSUMER, "team.shop.stock.api"}


@given(
    iterations=st.dictionaries(USERS, st.sampled_from([ITERATIONS, 8192])),
    acls=ACLS,
    wanted=st.dictionaries(st.sampled_from(sorted(OWN)), ACLS),
    delivered=st.sets(st.sampled_from(sorted(OWN))),
    used=st.sets(st.sampled_from(sorted(OWN))),
)
def test_once_carried_out_a_plan_is_empty_and_has_touched_nobody_else(
    iterations: dict[str, int],
    acls: frozenset[Acl],
    wanted: dict[str, frozenset[Acl]],
    delivered: set[str],
    used: set[str],
) -> None:
    records = [
        KafkaUserRecord(name, frozenset(acl for acl in given if acl.user == name))
        for name, given in wanted.items()
    ]
    plan = plan_users(KEY, records, ObservedUsers(iterations, acls), delivered, used)
    assert {*plan.admit, *plan.dismiss, *plan.leaving} <= OWN
    assert {acl.user for acl in plan.allow | plan.forbid} <= OWN
    after = {n: i for n, i in iterations.items() if n not in plan.dismiss}
    after |= dict.fromkeys(plan.admit, ITERATIONS)
    done = ObservedUsers(after, acls - plan.forbid | plan.allow)
    again = plan_users(KEY, records, done, {*delivered, *plan.admit}, used)
    assert again == UserPlan(leaving=plan.leaving)
    for record in records:
        assert {acl for acl in done.acls if acl.user == record.name} == record.acls
