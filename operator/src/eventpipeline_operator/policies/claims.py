"""Whose topic it is when several objects declare one: the oldest object's, ties by UID."""

from collections.abc import Mapping
from typing import NamedTuple

from eventpipeline_operator.api.observed import Fate, Problem
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Key


class Claim(NamedTuple):
    """Who claims, and for whom else; the smaller one came first (RFC 3339 sorts as it ages)."""

    created: str
    uid: str
    key: Key
    shared_with: tuple[str, ...] = ()


def evaluate_claims(mine: Claim, holders: Mapping[str, Claim]) -> dict[str, Problem]:
    """One problem, by Kafka name, for each topic whose holder is another, older object."""
    return {
        name: Problem(
            Reason.TOPIC_CONFLICT,
            f"topic {name} belongs to EventPipeline {holder.key}, which is older: rename it here, "
            "or declare it as external",
            Fate.STALL,
        )
        for name, holder in holders.items()
        if holder.uid != mine.uid and holder < mine
    }
