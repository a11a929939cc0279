"""Dynamic credentials over time, over fake ports: renewal, overlap, restart, release."""

import pytest

from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.desired.records import SecretRecord
from eventpipeline_operator.errors import Retryable
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.queue import Wake
from unit.operator.bodies import Json, build_body, build_spec
from unit.operator.fakes import World

AWAY = Retryable(Reason.VAULT_SEALED, "Vault at http://vault:8200 is sealed: unseal it")
FIRST = "database/creds/order/1"
SECOND = "database/creds/order/2"


@pytest.fixture
def world() -> World:
    return World()


def build_reconciler(world: World) -> Reconciler:
    settings = Settings(signing_key=b"key", trust_seconds=60)
    return Reconciler(
        world.ports, settings, lambda: world.vault.now, lambda: "2026-01-01T00:00:00Z",
        world.vault.clock,
    )  # fmt: skip


@pytest.fixture
def reconciler(world: World) -> Reconciler:
    return build_reconciler(world)


def leased(generation: int = 1, **changes: object) -> Json:
    spec = build_spec() | changes
    spec["secrets"][0] = {
        "name": "db",
        "vault": {"dynamic": {"path": "database/creds/order"}},
        "env": {"DATABASE_URL": "postgresql://{username}:{password|urlencode}@db/orders"},
    }
    return build_body(spec, generation=generation)


def delivered(world: World) -> set[str]:
    records = world.runtime.applied.items()
    return {n for n, r in records if isinstance(r, SecretRecord) and r.entry == "db"}


async def settle(reconciler: Reconciler, body: Json) -> None:
    for _ in range(3):
        await reconciler.reconcile(body, Wake.RETRY)


async def test_credentials_are_issued_once_and_then_left_alone(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, leased())
    assert list(world.vault.issued) == [FIRST]
    writes = (world.safe.writes, len(world.runtime.log), len(world.status.statuses))
    world.vault.now = 50
    await settle(reconciler, leased())
    assert (world.safe.writes, len(world.runtime.log), len(world.status.statuses)) == writes


async def test_a_lease_is_renewed_at_two_thirds(world: World, reconciler: Reconciler) -> None:
    await settle(reconciler, leased())
    assert reconciler.due_in("uid-1") == pytest.approx(66.7, abs=0.1)
    world.vault.now = 67
    await settle(reconciler, leased())
    assert (world.vault.renewals, len(world.vault.issued)) == (1, 1)


async def test_a_restart_needs_no_new_lease_and_writes_nothing(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, leased())
    writes = (world.safe.writes, len(world.runtime.log), len(world.status.statuses))
    body = {**leased(), "status": world.status.statuses[-1]}
    await settle(build_reconciler(world), body)
    assert list(world.vault.issued) == [FIRST]
    assert (world.safe.writes, len(world.runtime.log), len(world.status.statuses)) == writes


async def test_old_credentials_live_until_no_pod_uses_them(
    world: World, reconciler: Reconciler
) -> None:
    world.vault.max_life = 100
    await settle(reconciler, leased())
    world.runtime.in_use = delivered(world)
    world.vault.now = 70
    await settle(reconciler, leased())
    assert list(world.vault.issued) == [FIRST, SECOND]
    assert (len(delivered(world)), world.vault.revoked) == (2, [])
    world.runtime.in_use = set()
    await settle(reconciler, leased())
    assert (len(delivered(world)), world.vault.revoked) == (1, [FIRST])


async def test_a_new_session_replaces_the_leases_of_the_old_one(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, leased())
    world.vault.session = "second"
    await settle(reconciler, leased())
    assert (list(world.vault.issued), world.vault.revoked) == ([FIRST, SECOND], [FIRST])


async def test_a_suspended_object_keeps_its_leases_alive(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, leased())
    world.vault.now = 67
    await reconciler.reconcile(leased(2, suspend=True), Wake.RETRY)
    assert world.vault.renewals == 1


async def test_while_vault_is_away_the_last_credentials_stay_and_the_condition_says_so(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, leased())
    before = delivered(world)
    world.vault.now, world.vault.failure = 67, AWAY
    await settle(reconciler, leased())
    assert delivered(world) == before
    message = world.status.condition("SecretsReady")["message"]
    assert "stays in use, not confirmed for" in message
    assert "p%40ss" not in str(world.status.statuses)


async def test_an_entry_that_leaves_gives_its_lease_back(
    world: World, reconciler: Reconciler
) -> None:
    await settle(reconciler, leased())
    await settle(reconciler, build_body(generation=2))
    assert world.vault.revoked == [FIRST]
    assert not world.safe.records


async def test_what_cannot_be_remembered_is_given_back(
    world: World, reconciler: Reconciler
) -> None:
    world.safe.failure = Retryable(Reason.KUBERNETES_UNAVAILABLE, "away")
    world.safe.fails_after = 1  # that it is asked for can still be noted
    await reconciler.reconcile(leased(), Wake.CHANGE)
    assert world.vault.revoked == [FIRST]
    assert not delivered(world)


async def test_nothing_is_asked_for_that_could_not_be_noted(
    world: World, reconciler: Reconciler
) -> None:
    world.safe.failure = Retryable(Reason.KUBERNETES_UNAVAILABLE, "away")
    await reconciler.reconcile(leased(), Wake.CHANGE)
    assert not world.vault.issued


async def test_a_refusal_leaves_nothing_to_clear_up(world: World, reconciler: Reconciler) -> None:
    world.vault.failure = AWAY
    await reconciler.reconcile(leased(), Wake.CHANGE)
    assert not world.safe.records
    world.vault.failure = None
    await settle(reconciler, leased())
    assert (world.vault.session, world.vault.revoked) == ("first", [])


async def test_what_may_have_been_made_unseen_ends_with_its_session(
    world: World, reconciler: Reconciler
) -> None:
    world.vault.unanswered = True
    await reconciler.reconcile(leased(), Wake.CHANGE)
    assert list(world.vault.issued) == [FIRST]
    assert not delivered(world)
    world.vault.unanswered = False
    await settle(reconciler, leased())

    async def exists(key: Key, uid: str) -> bool:
        return bool(key and uid)

    await reconciler.sweep(exists)
    assert list(world.vault.issued) == [FIRST, SECOND]
    assert (world.vault.abandoned, world.vault.revoked) == ([], [FIRST])


@pytest.mark.parametrize("there", [True, False])
async def test_a_sweep_revokes_only_what_objects_that_are_gone_have_held(
    world: World, reconciler: Reconciler, *, there: bool
) -> None:
    await settle(reconciler, leased())
    reconciler.forget("uid-1")

    async def exists(key: Key, uid: str) -> bool:
        assert (key, uid) == (Key("team", "shop"), "uid-1")
        return there

    await reconciler.sweep(exists)
    assert world.vault.revoked == ([] if there else [FIRST])
    assert bool(world.safe.records) is there
