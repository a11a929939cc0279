"""A client that gets nowhere is noticed; one that only waits is left alone."""

import json

import pytest

from eventbus.errors import Crash
from eventbus.membership import REPORT_SECONDS, SILENT_SECONDS, STANDSTILL_REPORTS, Membership


def live(membership: Membership, reports: int, **group: str) -> None:
    """So many reports, with the polling in between."""
    for _ in range(reports):
        for _ in range(REPORT_SECONDS * 5):
            membership.polled(0.2)
        membership.report(json.dumps({"name": "member", "cgrp": group}))


@pytest.mark.parametrize(
    "join_state", ["wait-incr-unassign-to-complete", "wait-unassign-to-complete"]
)
def test_partitions_that_are_never_given_up_end_the_member(join_state: str) -> None:
    with pytest.raises(Crash, match="giving up"):
        live(Membership(), STANDSTILL_REPORTS + 1, state="up", join_state=join_state)


def test_giving_up_partitions_may_take_a_while() -> None:
    membership = Membership()
    for _ in range(3):
        leaving = {"state": "up", "join_state": "wait-incr-unassign-to-complete"}
        live(membership, STANDSTILL_REPORTS - 1, **leaving)
        live(membership, 1, state="up", join_state="steady")


def test_without_a_coordinator_nothing_can_be_given_up() -> None:
    live(
        Membership(),
        10 * STANDSTILL_REPORTS,
        state="wait-broker-transport",
        join_state="wait-unassign-to-complete",
    )


def test_a_client_that_says_nothing_ends_the_member() -> None:
    membership = Membership()
    for _ in range(int(SILENT_SECONDS)):
        membership.polled(1.0)
    with pytest.raises(Crash, match="sign of life"):
        membership.polled(1.0)


def test_a_process_that_stood_still_itself_blames_nobody() -> None:
    membership = Membership()
    membership.polled(3_600.0)
    live(membership, 3, state="up", join_state="steady")
