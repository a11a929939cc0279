"""Two objects, one topic: the older keeps it."""

from typing import Any

import pytest

from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.policies.claims import Claim, evaluate_claims
from eventpipeline_operator.policies.grants import Grants
from eventpipeline_operator.reconcile.claims import Claims
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.queue import Outcome, Wake
from unit.operator.bodies import build_body, build_pipeline
from unit.operator.fakes import World

Json = dict[str, Any]
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
MINE = Claim(LATE, "b", Key("team", "mine"))
SHARED = "team.shared"


@pytest.mark.parametrize(
    ("created", "uid", "lost"),
    [(EARLY, "z", True), (LATE, "a", True), (LATE, "c", False), ("2026-01-03", "a", False)],
)
def test_the_older_claim_counts_and_ties_go_by_uid(created: str, uid: str, *, lost: bool) -> None:
    holder = Claim(created, uid, Key("team", "other"))
    found = evaluate_claims(MINE, {SHARED: holder})
    assert set(found) == ({SHARED} if lost else set())
    assert all("team/other" in problem.message for problem in found.values())


def body(name: str, uid: str, created: str, topic: str = SHARED) -> Json:
    spec = {
        "kafka": {"bootstrapServers": "kafka:9092"},
        "topics": [{"name": "a", "topicName": topic, "config": {"retention.ms": created[8:10]}}],
    }
    return build_body(spec, name=name, uid=uid, creationTimestamp=created)


def build() -> tuple[World, Reconciler]:
    world = World()
    return world, Reconciler(world.ports, Settings(signing_key=b"key"), now=lambda: EARLY)


async def test_the_younger_says_so_and_touches_nothing() -> None:
    world, reconciler = build()
    older, younger = body("older", "z", EARLY), body("younger", "a", LATE)
    reconciler.claim(younger)
    assert reconciler.claim(older) == {Key("team", "younger")}
    await reconciler.reconcile(older, Wake.CHANGE)
    assert await reconciler.reconcile(younger, Wake.CHANGE) is Outcome.STALLED
    found = world.status.condition("TopicsReady")
    assert (found["status"], found["reason"]) == ("False", Reason.TOPIC_CONFLICT)
    assert "team/older" in found["message"]
    assert world.kafka.topics[SHARED].config == {"retention.ms": "01"}


async def test_the_younger_takes_over_when_the_older_goes() -> None:
    world, reconciler = build()
    older, younger = body("older", "z", EARLY), body("younger", "a", LATE)
    for each in (older, younger):
        reconciler.claim(each)
        await reconciler.reconcile(each, Wake.CHANGE)
    assert reconciler.forget("z") == {Key("team", "younger")}
    await reconciler.reconcile(younger, Wake.CHANGE)
    assert world.status.condition("TopicsReady")["status"] == "True"


def test_a_claim_given_up_concerns_the_others_and_an_unchanged_one_nobody() -> None:
    _, reconciler = build()
    reconciler.claim(body("older", "z", EARLY))
    reconciler.claim(body("younger", "a", LATE))
    assert reconciler.claim(body("older", "z", EARLY)) == set()
    assert reconciler.claim(body("older", "z", EARLY, "team.else")) == {Key("team", "younger")}


def test_external_topics_and_other_clusters_are_no_rivals() -> None:
    claims = Claims(Grants())
    claims.update(build_pipeline(body("older", "z", EARLY)["spec"]))
    assert claims.holders("other:9092", [SHARED]) == {}
    assert set(claims.holders("kafka:9092", [SHARED])) == {SHARED}
    claims.update(build_pipeline(using("team.market"), uid="x"))
    assert claims.holders("kafka:9092", ["team.market"]) == {}


def test_naming_a_topic_that_one_may_not_have_keeps_nobody_from_it() -> None:
    claims = Claims(Grants())
    intruder = body("shop", "a", EARLY, "team.shared")
    intruder["metadata"]["namespace"] = "other"
    claims.update(parse(intruder))
    assert claims.holders("kafka:9092", ["team.shared"]) == {}
    allowed = Claims(Grants(topics={"other": ("team.",)}))
    allowed.update(parse(intruder))
    assert set(allowed.holders("kafka:9092", ["team.shared"])) == {"team.shared"}


def using(name: str) -> Json:
    return {
        "kafka": {"bootstrapServers": "kafka:9092"},
        "topics": [{"name": "a", "external": {"topicName": name}}],
    }


def sharing(*namespaces: str) -> Json:
    spec = body("owner", "o", EARLY)["spec"]
    spec["topics"][0]["sharedWith"] = list(namespaces)
    return build_body(spec, name="owner", uid="o", creationTimestamp=EARLY)


def test_those_who_use_a_topic_look_again_when_its_sharing_changes() -> None:
    guest = Key("guests", "reader")
    claims = Claims(Grants())
    claims.update(build_pipeline(using(SHARED), namespace=guest.namespace, name="reader", uid="r"))
    assert claims.update(parse(sharing())) == {guest}
    assert claims.update(parse(sharing())) == set()
    assert claims.update(parse(sharing("guests"))) == {guest}
    assert claims.holders("kafka:9092", [SHARED])[SHARED].shared_with == ("guests",)
    assert claims.release("o") == {guest}
    claims.update(parse(sharing("guests")))
    claims.release("r")
    assert claims.release("o") == set()


def test_dead_letters_are_not_shared_with_the_topic() -> None:
    claims = Claims(Grants())
    shared = sharing("guests")
    shared["spec"]["services"] = [
        {"name": "s", "image": "s:1", "workers": [{"name": "w", "consumes": ["a"]}]}
    ]
    claims.update(parse(shared))
    letters = f"{SHARED}.s.dlq"
    assert claims.holders("kafka:9092", [letters])[letters].shared_with == ()


def test_rivals_are_all_others_that_claim_the_same_older_or_not() -> None:
    claims = Claims(Grants())
    claims.update(parse(body("older", "z", EARLY)))
    assert claims.rivals("z", "kafka:9092", [SHARED]) == {}
    claims.update(parse(body("younger", "a", LATE)))
    assert claims.rivals("z", "kafka:9092", [SHARED]) == {SHARED: Key("team", "younger")}
    assert claims.rivals("a", "kafka:9092", [SHARED]) == {SHARED: Key("team", "older")}
