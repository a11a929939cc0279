"""What is delivered, and what of it is worth a pass."""

from typing import Any

from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.errors import Retryable
from eventpipeline_operator.reconcile.inbox import Inbox
from eventpipeline_operator.reconcile.queue import Outcome, Wake
from unit.operator.bodies import build_body

KEY = Key("team", "shop")


class FakeReconciler:
    """Records bodies."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.claimed: list[str] = []
        self.forgotten: list[str] = []
        self.buried: list[str] = []
        self.rivals: set[Key] = set()

    async def reconcile(self, body: Any, wake: Wake) -> Outcome:
        assert wake in Wake
        self.bodies.append(body)
        return Outcome.DONE

    def claim(self, body: Any) -> set[Key]:
        self.claimed.append(body["metadata"]["uid"])
        return set(self.rivals)

    def bury(self, body: Any) -> None:
        self.buried.append(body["metadata"]["uid"])

    def forget(self, uid: str) -> set[Key]:
        self.forgotten.append(uid)
        return set(self.rivals)


class FakeQueue:
    """Records wishes."""

    def __init__(self) -> None:
        self.added: list[tuple[Key, Wake]] = []
        self.removed: list[Key] = []

    def add(self, key: Key, wake: Wake) -> None:
        self.added.append((key, wake))

    def remove(self, key: Key) -> None:
        self.removed.append(key)


class Server:
    """Knows which objects are there; `now` is the time."""

    def __init__(self) -> None:
        self.there: set[str] = {"uid-1"}
        self.asked = 0
        self.now = 0.0

    async def exists(self, key: Key, uid: str) -> bool:
        assert key == KEY
        self.asked += 1
        return uid in self.there


def build(server: Server | None = None) -> tuple[Inbox, FakeReconciler, Any]:
    reconciler, server = FakeReconciler(), server or Server()
    inbox = Inbox(reconciler, server.exists, lambda: server.now)  # type: ignore[arg-type]
    return inbox, reconciler, FakeQueue()


async def test_what_was_deleted_unseen_is_not_built_up_again() -> None:
    server = Server()
    inbox, reconciler, queue = build(server)
    inbox.deliver(queue, None, build_body())
    server.there, server.now = set(), 31
    assert await inbox.run_pass(KEY, Wake.CHILD) is Outcome.GONE
    assert reconciler.bodies == []
    assert reconciler.forgotten == ["uid-1"]
    assert len(inbox) == 0


async def test_what_was_just_heard_of_is_not_looked_for() -> None:
    server = Server()
    inbox, reconciler, queue = build(server)
    inbox.deliver(queue, None, build_body())
    server.now = 29
    await inbox.run_pass(KEY, Wake.CHILD)
    server.now = 100
    await inbox.run_pass(KEY, Wake.CHANGE)
    assert server.asked == 0
    await inbox.run_pass(KEY, Wake.RESYNC)
    await inbox.run_pass(KEY, Wake.CHILD)
    assert (server.asked, len(reconciler.bodies)) == (1, 4)


async def test_while_nobody_can_say_whether_it_is_there_nothing_is_done() -> None:
    server = Server()
    inbox, reconciler, queue = build(server)
    inbox.deliver(queue, None, build_body())
    server.now = 31

    async def away(key: Key, uid: str) -> bool:
        raise Retryable(Reason.KUBERNETES_UNAVAILABLE, f"{key} {uid}")

    inbox._exists = away
    assert await inbox.run_pass(KEY, Wake.RESYNC) is Outcome.RETRY
    assert (reconciler.bodies, len(inbox)) == ([], 1)


def test_a_new_object_and_a_new_generation_are_news() -> None:
    inbox, _, queue = build()
    inbox.deliver(queue, None, build_body())
    inbox.deliver(queue, "MODIFIED", build_body(generation=2))
    assert queue.added == [(KEY, Wake.CHANGE)] * 2


def test_our_own_status_write_is_no_news() -> None:
    inbox, _, queue = build()
    inbox.deliver(queue, None, build_body())
    inbox.deliver(queue, "MODIFIED", {**build_body(resourceVersion="9"), "status": {"a": "b"}})
    assert queue.added == [(KEY, Wake.CHANGE)]


async def test_a_pass_sees_the_newest_body() -> None:
    inbox, reconciler, queue = build()
    inbox.deliver(queue, None, build_body(managedFields=[{"manager": "x"}]))
    inbox.deliver(queue, "MODIFIED", build_body(generation=2))
    assert await inbox.run_pass(KEY, Wake.CHANGE) is Outcome.DONE
    assert reconciler.bodies == [build_body(generation=2)]


async def test_a_deleted_object_is_forgotten() -> None:
    inbox, reconciler, queue = build()
    inbox.deliver(queue, None, build_body())
    inbox.deliver(queue, "DELETED", build_body())
    assert (reconciler.forgotten, queue.removed, len(inbox)) == (["uid-1"], [KEY], 0)
    assert reconciler.buried == ["uid-1"]
    assert await inbox.run_pass(KEY, Wake.CHILD) is Outcome.GONE


def test_a_late_farewell_does_not_hit_the_successor() -> None:
    inbox, reconciler, queue = build()
    inbox.deliver(queue, None, build_body())
    inbox.deliver(queue, "ADDED", build_body(uid="uid-2"))
    inbox.deliver(queue, "DELETED", build_body())
    assert len(inbox) == 1
    assert reconciler.forgotten == ["uid-1"]


def test_rivals_for_a_topic_look_again_when_one_comes_or_goes() -> None:
    inbox, reconciler, queue = build()
    rival = Key("other", "shop")
    reconciler.rivals = {rival}
    inbox.deliver(queue, None, build_body())
    assert (rival, Wake.CHANGE) in queue.added
    queue.added.clear()
    inbox.deliver(queue, "DELETED", build_body())
    assert queue.added == [(rival, Wake.CHANGE)]


def test_every_claim_is_known_before_the_first_pass() -> None:
    inbox, reconciler, queue = build()
    bodies = [build_body(name=name, uid=name) for name in ("a", "b")]
    for body in bodies:
        inbox.note(body)
    assert (reconciler.claimed, queue.added) == (["a", "b"], [])
    for body in bodies:
        inbox.deliver(queue, None, body)
    assert queue.added == [(Key("team", name), Wake.CHANGE) for name in ("a", "b")]


async def test_an_object_that_ended_before_its_delivery_has_no_pass_and_no_claims() -> None:
    inbox, reconciler, queue = build()
    for name in ("there", "gone"):
        inbox.note(build_body(name=name, uid=name))

    async def exists(key: Key, uid: str) -> bool:
        assert key.name == uid
        return uid == "there"

    inbox._exists = exists
    await inbox.forget_ended(queue)
    assert (reconciler.forgotten, len(inbox), queue.added) == (["gone"], 1, [])
    inbox.deliver(queue, None, build_body(name="there", uid="there"))
    assert queue.added == [(Key("team", "there"), Wake.CHANGE)]


def test_a_body_that_was_noted_is_read_once() -> None:
    inbox, reconciler, queue = build()
    body = build_body(resourceVersion="7")
    inbox.note(body)
    inbox.deliver(queue, None, body)
    assert reconciler.claimed == ["uid-1"]
    assert queue.added == [(KEY, Wake.CHANGE)]


def test_after_a_restart_objects_that_were_settled_wait_behind_those_that_were_not() -> None:
    inbox, _, queue = build()
    for name, generation, observed in (("settled", 2, 2), ("changed", 3, 2)):
        body = build_body(name=name, uid=name, generation=generation)
        inbox.deliver(queue, None, {**body, "status": {"observedGeneration": observed}})
    wakes = {key.name: wake for key, wake in queue.added}
    assert wakes == {"settled": Wake.RESYNC, "changed": Wake.CHANGE}


def test_a_rival_of_a_settled_object_is_urgent() -> None:
    inbox, reconciler, queue = build()
    reconciler.rivals = {KEY}
    body = build_body(name="other", uid="other")
    inbox.deliver(queue, None, {**body, "status": {"observedGeneration": 1}})
    assert sorted(queue.added) == [
        (Key("team", "other"), Wake.RESYNC),
        (KEY, Wake.CHANGE),
    ]


def test_a_rival_that_was_noted_waits_for_its_own_delivery() -> None:
    inbox, reconciler, queue = build()
    inbox.note(build_body())
    reconciler.rivals = {KEY}
    inbox.deliver(queue, None, build_body(name="other", uid="other"))
    assert queue.added == [(Key("team", "other"), Wake.CHANGE)]
    inbox.deliver(queue, None, build_body())
    assert (KEY, Wake.CHANGE) in queue.added
