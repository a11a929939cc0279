"""The operator killed at every boundary of every call to the world, and started again.

Whatever the moment: the next one brings the object where it would have come anyway, nothing is
done twice, and nothing is left that nobody knows of.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventpipeline_operator.api.types import Key
from eventpipeline_operator.desired.kafka_users import PASSWORD, USERNAME
from eventpipeline_operator.desired.records import SecretRecord
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.queue import Wake
from fakes.mortal import Life, mortal_ports
from unit.operator.bodies import Json, build_body, build_spec
from unit.operator.fakes import World

LEASED = {
    "name": "db",
    "vault": {"dynamic": {"path": "database/creds/order"}},
    "env": {"DATABASE_URL": "postgresql://{username}:{password|urlencode}@db/orders"},
}


def first() -> Json:
    """Topics, Kafka users, leased and kept secrets, a migration, workers, a route."""
    spec = build_spec()
    spec["kafka"]["users"] = {}
    spec["secrets"][0] = dict(LEASED)
    return build_body(spec)


def second() -> Json:
    """The same after an edit that touches every step."""
    spec: Json = first()["spec"]
    spec["topics"][0] |= {"partitions": 9, "config": {"retention.ms": 1000}}
    spec["topics"].append({"name": "returns", "partitions": 1})
    spec["services"][0]["image"] = "order:2"
    del spec["services"][0]["workers"][1]
    return build_body(spec, generation=2)


class Installation:
    """A world in which operators live one after another."""

    def __init__(self) -> None:
        self.world = World()
        self.there = True
        self._body = first()

    def apply(self) -> None:
        """The object as it is at first."""

    def edit(self) -> None:
        self._body = second()

    def pass_time(self) -> None:
        """The lease nears the end of its greatest life."""
        self.world.vault.max_life, self.world.vault.now = 100, 70

    def delete(self) -> None:
        """The object goes; its children follow it, as owner references have it."""
        self.there = False
        self.world.runtime.applied.clear()

    async def run(self, life: Life) -> bool:
        """One operator's life: passes until nothing is left to do."""
        # Only what the API server has stored is known to the next one.
        stored = self.world.status.statuses[-1] if self.world.status.statuses else {}
        body = {**self._body, "status": stored}
        reconciler = Reconciler(
            mortal_ports(self.world.ports, life),
            Settings(signing_key=b"key", trust_seconds=60),
            lambda: self.world.vault.now,
            lambda: "2026-01-01T00:00:00Z",
            self.world.vault.clock,
        )

        async def work() -> None:
            for wake in (Wake.CHANGE, Wake.CHILD, Wake.RETRY, Wake.CHILD):
                if self.there:
                    await reconciler.reconcile(body, wake)
            await reconciler.sweep(self._exists)

        return await life.live(work)

    async def rest(self) -> None:
        """The life of an operator that nobody kills."""
        assert await self.run(Life())

    async def _exists(self, key: Key, uid: str) -> bool:
        assert (key, uid) == (Key("team", "shop"), "uid-1")
        return self.there

    def outcome(self) -> object:
        """Where it has come to, and by which writes; which lease it is does not matter."""
        topics = {
            n: (t.partitions, dict(t.config), self.world.kafka.created.count(n))
            for n, t in self.world.kafka.topics.items()
        }
        applied = {_nameless(name) for name in self.world.runtime.applied}
        writes = Counter(_nameless(name) for name in self.world.runtime.log)
        conditions = self.world.status.statuses[-1]["conditions"]
        said = [(c["type"], c["status"], c["reason"]) for c in conditions]
        users = set(self.world.users.passwords), set(self.world.users.acls)
        return topics, users, applied, writes, said, len(self.live_leases())

    def live_leases(self) -> set[str]:
        return set(self.world.vault.issued) - set(self.world.vault.revoked)

    def check_nothing_was_said_twice(self) -> None:
        status = self.world.status
        told = Counter((e.type, e.status, e.reason, e.message) for e in status.events)
        assert [news for news, count in told.items() if count > 1] == []
        assert all(a != b for a, b in itertools.pairwise(status.statuses))

    def check_kafka_knows_every_login(self) -> None:
        for held in self.world.runtime.applied.values():
            if isinstance(held, SecretRecord) and USERNAME in held.env:
                known = self.world.users.passwords.get(held.env[USERNAME])
                assert known == held.env[PASSWORD], held.entry

    def check_no_lease_is_forgotten(self) -> None:
        kept = "".join(self.world.safe.records.values())
        assert [lease for lease in self.live_leases() if f'"{lease}"' not in kept] == []


def _nameless(name: str) -> str:
    """Without the revision that stands for values that differ each time."""
    return name.rpartition("-")[0] if "-db-" in name or "-kafka." in name else name


Step = Callable[[Installation], None]
A_DAY: Sequence[Step] = (
    Installation.apply, Installation.edit, Installation.pass_time, Installation.delete,
)  # fmt: skip
DAYS = [A_DAY[:length] for length in range(1, len(A_DAY) + 1)]


async def live_through(steps: Sequence[Step], *kills: int) -> tuple[Installation, Life]:
    """Take the steps; in the last one operators are killed one after another, then one lives."""
    installation, life = Installation(), Life()
    for step in steps[:-1]:
        step(installation)
        await installation.rest()
    steps[-1](installation)
    for moment in kills:
        life = Life(dies_at=moment)
        await installation.run(life)
    await installation.rest()
    return installation, life


@pytest.mark.parametrize("steps", DAYS, ids=["apply", "edit", "rotate", "delete"])
async def test_killed_at_any_boundary_it_ends_where_it_would_have_come(
    steps: Sequence[Step],
) -> None:
    undisturbed, _ = await live_through(steps)
    for moment in itertools.count(1):
        installation, life = await live_through(steps, moment)
        if not life.ended.is_set():
            break
        where = f"killed at boundary {moment}: {life.boundaries[-1]}"
        assert installation.outcome() == undisturbed.outcome(), where
        installation.check_kafka_knows_every_login()
        installation.check_nothing_was_said_twice()
        installation.check_no_lease_is_forgotten()
    assert moment > 5


@settings(max_examples=25)
@given(st.sampled_from(DAYS), st.lists(st.integers(1, 60), min_size=2, max_size=4))
async def test_killed_again_and_again_it_still_gets_there(
    steps: Sequence[Step], kills: list[int]
) -> None:
    undisturbed, _ = await live_through(steps)
    installation, _ = await live_through(steps, *kills)
    assert installation.outcome() == undisturbed.outcome()
    installation.check_kafka_knows_every_login()
    installation.check_nothing_was_said_twice()
    installation.check_no_lease_is_forgotten()
