"""Users and ACLs as the client library has them, and as the operator has them. Pure."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

from confluent_kafka.admin import (  # type: ignore[attr-defined] # stubs re-export nothing
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
)

from eventpipeline_operator.api.observed import Acl, ObservedUsers

PRINCIPAL = "User:"
MECHANISM = ScramMechanism.SCRAM_SHA_512
T = TypeVar("T")

_EVERY: Any = None  # the stubs know no filter without a name
EVERYTHING = AclBindingFilter(
    ResourceType.ANY, _EVERY, ResourcePatternType.ANY, _EVERY, _EVERY,
    AclOperation.ANY, AclPermissionType.ANY,
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """Everybody with his iterations, and every ACL, both sorted by user."""

    users: tuple[tuple[str, int], ...]
    acls: tuple[Acl, ...]

    def below(self, prefix: str) -> ObservedUsers:
        """Those whose names begin so."""
        users = _begun(self.users, prefix, itemgetter(0))
        return ObservedUsers(dict(users), frozenset(_begun(self.acls, prefix, attrgetter("user"))))


def _begun(items: Sequence[T], prefix: str, name: Callable[[T], str]) -> Sequence[T]:
    """The items of a sorted sequence whose names begin so."""
    start = bisect_left(items, prefix, key=name)
    end = start
    while end < len(items) and name(items[end]).startswith(prefix):
        end += 1
    return items[start:end]


def iterations_of(users: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
    """Users with a password of our mechanism, and its iterations."""
    for name, described in users.items():
        for info in described.scram_credential_infos:
            if info.mechanism == MECHANISM:
                yield name, info.iterations


def acls_of(bindings: Iterable[Any]) -> Iterable[Acl]:
    """What users are allowed, as far as the client library has a word for it."""
    for each in bindings:
        known = ResourceType.UNKNOWN is not each.restype and (
            AclOperation.UNKNOWN is not each.operation
        )
        allows = known and each.permission_type is AclPermissionType.ALLOW
        if allows and each.principal.startswith(PRINCIPAL):
            yield Acl(
                user=each.principal.removeprefix(PRINCIPAL),
                resource=each.restype.name.lower(),
                name=each.name,
                operation=each.operation.name.lower(),
                prefixed=each.resource_pattern_type is ResourcePatternType.PREFIXED,
                host=each.host,
            )


def binding_of(acl: Acl) -> AclBinding:
    """To be created."""
    return AclBinding(*_parts(acl))


def filter_of(acl: Acl) -> AclBindingFilter:
    """Exactly this one."""
    return AclBindingFilter(*_parts(acl))


def _parts(acl: Acl) -> tuple[Any, ...]:
    return (
        ResourceType[acl.resource.upper()],
        acl.name,
        ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL,
        PRINCIPAL + acl.user,
        acl.host,
        AclOperation[acl.operation.upper()],
        AclPermissionType.ALLOW,
    )
