"""A wanted object and what there is → the changes of an apply."""

import copy
from typing import Any

import pytest

from eventpipeline_operator.adapters.kube.manifests import render
from eventpipeline_operator.api.observed import ObservedTopic
from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.cli.changes import Change, Sight, System
from eventpipeline_operator.cli.forecast import forecast, foresee_secrets
from eventpipeline_operator.cli.forecast_users import foresee_logins
from eventpipeline_operator.desired.kafka_users import build_kafka_users
from eventpipeline_operator.desired.topics import build_topics
from eventpipeline_operator.desired.workloads import build_migration, build_workloads
from eventpipeline_operator.reconcile.ports import Record
from unit.operator.bodies import build_body, build_spec

Json = dict[str, Any]
PREFIX = "team.shop."
OWNED: Json = {"f:metadata": {"f:labels": {}, "f:ownerReferences": {}}, "f:spec": {}, "f:data": {},
         "f:immutable": {}, "f:automountServiceAccountToken": {}}  # fmt: skip


def build_applied(spec: Json | None = None) -> Sight:
    """An object as it is when the operator is done with it."""
    body = build_body(spec)
    body["status"] = {
        "secrets": [
            {"name": name, "secretName": f"shop-{name}-abc", "version": "3"}
            for name in ("db", "mail")
        ]
    }
    users = build_kafka_users(parse(body)) if parse(body).kafka_users else ()
    body["status"]["users"] = {
        "items": [
            {"userName": u.name, "secretName": f"shop-kafka.{u.name.removeprefix(PREFIX)}-abc"}
            for u in users
        ]
    }
    pipeline = parse(body)
    references = {**foresee_secrets(pipeline, pipeline, {}), **foresee_logins(pipeline)}
    records: list[Record] = []
    for service in pipeline.services:
        migration = build_migration(pipeline, service, references)
        records += [migration] if migration else []
        records += build_workloads(pipeline, service, references)
    children = [manifest for record in records for manifest in render(pipeline, record)]
    topics = {
        r.name: ObservedTopic(r.name, "id", r.partitions, 1, dict(r.config))
        for r in build_topics(pipeline)
    }
    return Sight(body, tuple(map(as_stored, children)), topics)


def as_stored(manifest: Json) -> Json:
    live = copy.deepcopy(manifest)
    live["metadata"] |= {
        "uid": f"uid-{manifest['metadata']['name']}",
        "resourceVersion": "7",
        "generation": 1,
        "managedFields": [{"manager": "eventpipeline", "operation": "Apply", "fieldsV1": OWNED}],
    }
    if manifest["kind"] == "Job":
        live["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    return live


@pytest.fixture
def spec() -> Json:
    found = build_spec()
    del found["ingress"]
    return found


@pytest.fixture
def applied(spec: Json) -> Sight:
    return build_applied(copy.deepcopy(spec))


def changes(spec: Json, sight: Sight) -> dict[str, Change]:
    return {f"{c.action} {c.subject}": c for c in forecast(build_body(spec), sight).changes}


def test_an_applied_object_needs_nothing(spec: Json, applied: Sight) -> None:
    assert not changes(spec, applied)


def test_a_new_object_needs_everything(spec: Json) -> None:
    found = changes(spec, Sight(topics={}))
    for subject in (
        "create EventPipeline shop",
        "create topic team.shop.orders",
        "create topic team.shop.stock-events.order.dlq",
        "create Deployment shop-order",
        "create Secret shop-db-(new)",
    ):
        assert subject in found


def test_a_new_image_is_one_deployment_and_a_new_migration(spec: Json, applied: Sight) -> None:
    spec["services"][1]["image"] = "stock:2"
    found = changes(spec, applied)
    assert set(found) == {"update EventPipeline shop", "update Deployment shop-stock"}
    (difference,) = found["update Deployment shop-stock"].differences
    assert difference.path == "spec.template.spec.containers[main].image"
    assert (difference.before, difference.after) == ("stock:1", "stock:2")


def test_a_changed_config_replaces_a_config_map_and_rolls_what_uses_it(
    spec: Json, applied: Sight
) -> None:
    spec["services"][1]["config"] = {"LOG_LEVEL": "debug"}
    del spec["config"]["LOG_LEVEL"]
    spec["services"][0]["config"]["LOG_LEVEL"] = "info"
    found = changes(spec, applied)
    (replaced,) = [c for name, c in found.items() if name.startswith("replace ConfigMap")]
    assert [(d.path, d.before, d.after) for d in replaced.differences] == [
        ("data.LOG_LEVEL", "info", "debug")
    ]
    assert "update Deployment shop-stock" in found
    assert "update Deployment shop-order" not in found


def test_a_removed_worker_is_deleted_and_its_topics_stay(spec: Json, applied: Sight) -> None:
    spec["services"][0]["workers"].pop()
    spec["topics"].pop()
    found = changes(spec, applied)
    assert "delete Deployment shop-order-consumer" in found
    assert not [c for c in found.values() if c.system is System.KAFKA]
    notes = forecast(build_body(spec), applied).notes
    assert "topic team.shop.stock-events leaves the object and stays in Kafka" in notes


def test_drift_is_foreseen_to_be_mended(spec: Json, applied: Sight) -> None:
    for child in applied.children:
        if child["kind"] == "Deployment" and child["metadata"]["name"] == "shop-order":
            child["spec"]["replicas"] = 7
    found = changes(spec, applied)
    assert set(found) == {"update Deployment shop-order"}
    (difference,) = found["update Deployment shop-order"].differences
    assert (difference.path, difference.before, difference.after) == ("spec.replicas", "7", "2")


def test_topics_grow_and_are_configured(spec: Json, applied: Sight) -> None:
    spec["topics"][0] |= {"partitions": 12, "config": {"retention.ms": 60000}}
    change = changes(spec, applied)["update topic team.shop.orders"]
    assert [(d.path, d.before, d.after) for d in change.differences] == [
        ("partitions", "6", "12"),
        ("config.retention.ms", "-1", "60000"),
    ]


def test_what_kafka_cannot_do_is_a_problem(spec: Json, applied: Sight) -> None:
    spec["topics"][0]["partitions"] = 1
    (problem,) = forecast(build_body(spec), applied).problems
    assert "Kafka cannot shrink a topic" in problem


def test_a_new_version_in_vault_rolls_what_uses_the_secret(spec: Json, applied: Sight) -> None:
    newer = Sight(applied.body, applied.children, applied.topics, {"db": "4", "mail": "3"})
    found = changes(spec, newer)
    assert "replace Secret shop-db-abc" in found
    assert "update Deployment shop-order" in found
    assert "replace Secret shop-mail-abc" not in found


def test_credentials_are_issued_and_revoked_with_their_entry(spec: Json) -> None:
    before = copy.deepcopy(spec)
    before["secrets"][1] = {"name": "mail", "vault": {"dynamic": {"path": "database/creds/mail"}}}
    spec["secrets"][1] = {"name": "mail", "vault": {"dynamic": {"path": "database/creds/new"}}}
    found = changes(spec, build_applied(before))
    assert "issue credentials database/creds/new for mail" in found
    assert "revoke credentials database/creds/mail of mail" in found


def test_kafka_users_are_foreseen_with_what_each_may_do(spec: Json, applied: Sight) -> None:
    spec["kafka"]["users"] = {}
    found = changes(spec, applied)
    rights = {d.path: d.after for d in found["create user team.shop.order.relay"].differences}
    assert rights["may.topic team.shop.orders"] == "describe, write"
    assert "create Secret shop-kafka.order.relay-(new)" in found
    assert "update Deployment shop-order-relay" in found


def test_an_edge_that_is_moved_changes_its_user(spec: Json) -> None:
    spec["kafka"]["users"] = {}
    sight = build_applied(copy.deepcopy(spec))
    assert not changes(spec, sight)
    spec["services"][0]["workers"][0]["produces"] = ["stock-events"]
    found = changes(spec, sight)
    differences = found["update user team.shop.order.relay"].differences
    assert {(d.path, d.before, d.after) for d in differences} == {
        ("may.topic team.shop.orders", "describe, write", None),
        ("may.topic team.shop.stock-events", None, "describe, write"),
    }


def test_a_user_goes_with_its_worker(spec: Json) -> None:
    spec["kafka"]["users"] = {}
    sight = build_applied(copy.deepcopy(spec))
    spec["services"][0]["workers"].pop()
    found = changes(spec, sight)
    assert "delete user team.shop.order.consumer" in found
    assert "delete Secret shop-kafka.order.consumer-abc" in found


def test_nothing_of_a_suspended_object_is_touched(spec: Json, applied: Sight) -> None:
    spec |= {"suspend": True}
    spec["services"][1]["image"] = "stock:2"
    assert set(changes(spec, applied)) == {"update EventPipeline shop"}
