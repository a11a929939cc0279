"""What a stand-in for Vault remembers: versions, ends, and what ends with what."""

from dataclasses import replace

from eventpipeline_operator.adapters.local.backing.vault_ledger import (
    KEPT_VERSIONS,
    SESSION_SECONDS,
    HeldLease,
    Ledger,
    Versions,
    begin_session,
    keep_session,
    pack,
    prolong,
    unpack,
)

LEASE = HeldLease(
    path="database/creds/order",
    user="v-order-1",
    database="orders",
    session="s",
    issued_at=0,
    ends_at=100,
    max_ttl=150,
    renew=("renew it",),
    revoke=("drop it",),
)


def ledger() -> Ledger:
    return Ledger().with_session("s", begin_session("ada", 0, 0)).with_lease("l", LEASE)


def test_a_secret_that_did_not_change_keeps_its_version() -> None:
    first = Versions().observed({"a": 1})
    assert first.observed({"a": 1}) is first
    assert first.observed({"a": 2}).newest == 2


def test_a_change_back_is_a_version_of_its_own() -> None:
    versions = Versions().observed({"a": 1}).observed({"a": 2}).observed({"a": 1})
    assert versions.newest == 3
    assert [versions.get(n) for n in (0, 1, 2, 3, 4)] == [None, {"a": 1}, {"a": 2}, {"a": 1}, None]


def test_only_the_newest_versions_are_kept() -> None:
    versions = Versions()
    for number in range(KEPT_VERSIONS + 2):
        versions = versions.observed({"a": number})
    assert versions.get(2) is None
    assert versions.get(3) == {"a": 2}
    assert versions.get(versions.newest) == {"a": KEPT_VERSIONS + 1}


def test_a_lease_is_never_prolonged_beyond_its_greatest_life() -> None:
    longer = prolong(LEASE, 100, 40)
    assert longer
    assert longer.ends_at == 140
    longest = prolong(longer, 100, 120)
    assert longest
    assert longest.ends_at == 150
    assert prolong(LEASE, 100, 100) is None


def test_a_lease_is_overdue_at_its_end_and_at_its_sessions() -> None:
    assert ledger().overdue(99) == []
    assert ledger().overdue(100) == ["l"]
    for_ever = ledger().with_lease("l", replace(LEASE, ends_at=1e9))
    assert for_ever.overdue(SESSION_SECONDS - 1) == []
    assert for_ever.overdue(SESSION_SECONDS) == ["l"]
    assert for_ever.without_session("s").overdue(1) == ["l"]


def test_a_session_is_renewed_when_that_is_due_and_replaced_when_it_has_ended() -> None:
    session = begin_session("ada", 0, 0)
    assert keep_session(session, 10) is session
    renewed = keep_session(session, SESSION_SECONDS * 0.7)
    assert renewed.term.ends_at > session.term.ends_at
    assert ledger().held_by("ada", 10) == "s"
    assert ledger().held_by("eve", 10) is None
    assert ledger().held_by("ada", SESSION_SECONDS) is None
    assert ledger().abandoning("s").held_by("ada", 10) is None


def test_it_is_the_same_after_it_was_stored() -> None:
    whole = ledger().with_versions("kv/shop", Versions().observed({"a": 1})).abandoning("s")
    assert unpack(pack(whole)) == whole


def test_neither_users_nor_values_are_in_its_representation() -> None:
    whole = ledger().with_versions("kv/shop", Versions().observed({"a": "p@ss"}))
    assert "v-order-1" not in repr(whole)
    assert "p@ss" not in repr(whole)
