"""The KafkaUsers port in memory, and Secrets as the fake runtime holds them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from eventpipeline_operator.api.observed import Acl, ObservedUsers
from eventpipeline_operator.api.types import KafkaAccess
from eventpipeline_operator.desired.kafka_users import ITERATIONS
from eventpipeline_operator.desired.records import SecretRecord
from eventpipeline_operator.errors import ReconcileError
from eventpipeline_operator.reconcile.ports import Record


@dataclass
class FakeKafkaUsers:
    """Passwords by user, and ACLs; `failure` is raised by every call while set."""

    passwords: dict[str, str] = field(default_factory=dict)
    acls: set[Acl] = field(default_factory=set)
    login: bool = True
    authorizer: bool = True
    failure: ReconcileError | None = None
    calls: list[str] = field(default_factory=list)

    async def observe(self, access: KafkaAccess, prefix: str) -> ObservedUsers:
        self._count(access, "observe")
        if not self.login:
            return ObservedUsers(login=False)
        return ObservedUsers(
            {user: ITERATIONS for user in self.passwords if user.startswith(prefix)},
            frozenset(acl for acl in self.acls if acl.user.startswith(prefix)),
            authorizer=self.authorizer,
        )

    async def admit(self, access: KafkaAccess, passwords: Mapping[str, str]) -> None:
        self._count(access, "admit")
        self.passwords.update(passwords)

    async def dismiss(self, access: KafkaAccess, names: Collection[str]) -> None:
        self._count(access, "dismiss")
        for name in names:
            self.passwords.pop(name, None)

    async def allow(self, access: KafkaAccess, acls: Collection[Acl]) -> None:
        self._count(access, "allow")
        if self.authorizer:
            self.acls.update(acls)

    async def forbid(self, access: KafkaAccess, acls: Collection[Acl]) -> None:
        self._count(access, "forbid")
        self.acls.difference_update(acls)

    @property
    def writes(self) -> list[str]:
        return [call for call in self.calls if call != "observe"]

    def may(self, user: str, operation: str, name: str, resource: str = "topic") -> bool:
        """What an authorizer would say."""
        return any(
            (acl.user, acl.operation, acl.resource) == (user, operation, resource)
            and (name.startswith(acl.name) if acl.prefixed else name == acl.name)
            for acl in self.acls
        )

    def _count(self, access: KafkaAccess, call: str) -> None:
        assert access.servers
        self.calls.append(call)
        if self.failure:
            raise self.failure


@dataclass
class FakeSecretReader:
    """Reads what a runtime holds."""

    applied: Mapping[str, Record]

    async def contents(self, namespace: str, name: str) -> Mapping[str, str]:
        assert namespace == "team"
        record = self.applied.get(name)
        return {**record.env, **record.files} if isinstance(record, SecretRecord) else {}
