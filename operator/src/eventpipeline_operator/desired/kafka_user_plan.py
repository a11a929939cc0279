"""Desired Kafka users and observed ones → whom to admit and dismiss, what to allow and forbid."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from eventpipeline_operator.api.names import is_kafka_user
from eventpipeline_operator.api.observed import Acl, ObservedUsers
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.desired.kafka_users import ITERATIONS
from eventpipeline_operator.desired.records import KafkaUserRecord


@dataclass(frozen=True)
class UserPlan:
    """Changes; `leaving` are users that go when no pod has their login any more."""

    admit: tuple[str, ...] = ()
    allow: frozenset[Acl] = frozenset()
    forbid: frozenset[Acl] = frozenset()
    dismiss: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()


def plan_users(
    key: Key,
    records: Iterable[KafkaUserRecord],
    observed: ObservedUsers,
    delivered: Collection[str] = (),
    used: Collection[str] = (),
) -> UserPlan:
    """Compare; whose name is not of this pipeline's form is not touched.

    A password cannot be read back: a user whose login is delivered and who is there is taken to
    have it. `used` are users whose login some pod may still have.
    """
    wanted = {record.name: record.acls for record in records}
    live = frozenset(acl for acl in observed.acls if is_kafka_user(key, acl.user))
    known = {name for name in observed.iterations if is_kafka_user(key, name)}
    departed = ({acl.user for acl in live} | known) - wanted.keys()
    leaving = departed & set(used)
    allowed = frozenset(acl for acls in wanted.values() for acl in acls)
    kept = allowed | {acl for acl in live if acl.user in leaving}
    return UserPlan(
        admit=tuple(
            name
            for name in wanted
            if name not in delivered or observed.iterations.get(name) != ITERATIONS
        ),
        allow=allowed - live if observed.authorizer else frozenset(),
        forbid=live - kept,
        dismiss=tuple(sorted(known & departed - leaving)),
        leaving=tuple(sorted(leaving)),
    )
