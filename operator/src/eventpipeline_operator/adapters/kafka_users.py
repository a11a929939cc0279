"""The KafkaUsers port on confluent-kafka's AdminClient, with the clients of KafkaAdmin.

A look is one listing of all users and one of all ACLs, shared by all pipelines of a cluster for
some seconds; changes of several pipelines become one call (batching.py).

Two faults of librdkafka 2.16 are walked around. It ends the whole process when it is answered that
users may not be described, or that one does not exist: so what the operator may do is asked first,
and all users are listed, never some. And it takes a refusal to describe ACLs for an empty answer:
that the brokers have no authorizer shows only when something is to be allowed.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import replace
from operator import attrgetter
from typing import Any
from weakref import WeakKeyDictionary

from confluent_kafka import KafkaError
from confluent_kafka.admin import (  # type: ignore[attr-defined] # stubs re-export nothing
    AclOperation,
    AdminClient,
    ScramCredentialInfo,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from eventpipeline_operator.adapters.batching import Batcher
from eventpipeline_operator.adapters.kafka import READ_SECONDS, WRITE_SECONDS, Cluster, KafkaAdmin
from eventpipeline_operator.adapters.kafka_acls import (
    EVERYTHING,
    MECHANISM,
    Look,
    acls_of,
    binding_of,
    filter_of,
    iterations_of,
)
from eventpipeline_operator.adapters.kafka_answers import (
    AWAY,
    DENIED,
    Answer,
    classified,
    settle,
    settle_one,
)
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity
from eventpipeline_operator.api.observed import Acl, ObservedUsers
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import KafkaAccess
from eventpipeline_operator.desired.kafka_users import ITERATIONS
from eventpipeline_operator.errors import ReconcileError, Stalled

SEEN_SECONDS = 5.0
UNPROTECTED_SECONDS = 300.0
USERS_A_CALL = 100  # the client derives each password's key itself: 11 ms each
UNSUPPORTED = frozenset(
    {KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE}  # noqa: SLF001
)
NO_SUCH_CREDENTIAL = 91  # RESOURCE_NOT_FOUND, which the client library does not name
NEEDED = {AclOperation.DESCRIBE, AclOperation.ALTER}


class KafkaUserAdmin:
    """Users and ACLs of all clusters that pipelines name."""

    def __init__(
        self,
        admin: KafkaAdmin,
        security: KafkaSecurity,
        may_write: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admin = admin
        self._security = security
        self._may_write = may_write
        self._clock = clock
        self._by_cluster: WeakKeyDictionary[Cluster, _Directory] = WeakKeyDictionary()

    async def observe(self, access: KafkaAccess, prefix: str) -> ObservedUsers:
        """Users and ACLs below a prefix; nobody where the operator itself does not log in."""
        if "sasl.mechanism" not in await self._security.settings(access):
            return ObservedUsers(login=False)
        cluster = await self._admin.cluster(access)
        directory = self._directory(cluster)
        seen = await self._admin.reached(access, cluster, directory.look())
        return replace(seen.below(prefix), authorizer=directory.protected())

    async def admit(self, access: KafkaAccess, passwords: Mapping[str, str]) -> None:
        """Have users with these passwords."""
        await self._change(access, lambda d: d.admissions.ask(passwords))

    async def dismiss(self, access: KafkaAccess, names: Collection[str]) -> None:
        """Have these users no more."""
        wishes: dict[str, None] = dict.fromkeys(names)
        await self._change(access, lambda d: d.dismissals.ask(wishes))

    async def allow(self, access: KafkaAccess, acls: Collection[Acl]) -> None:
        """Let users do this; without an authorizer that changes nothing, which a look tells."""
        await self._change(access, lambda d: d.grants.ask({str(a): a for a in acls}))

    async def forbid(self, access: KafkaAccess, acls: Collection[Acl]) -> None:
        """Let users do exactly this no more."""
        await self._change(access, lambda d: d.revocations.ask({str(a): a for a in acls}))

    async def _change(
        self,
        access: KafkaAccess,
        ask: Callable[["_Directory"], Awaitable[Mapping[str, Answer]]],
    ) -> None:
        cluster = await self._admin.cluster(access)
        directory = self._directory(cluster)

        async def change() -> None:
            for subject, answer in (await ask(directory)).items():
                if isinstance(answer, KafkaError):
                    raise _refused(subject, answer)

        await self._admin.reached(access, cluster, change())

    def _directory(self, cluster: Cluster) -> "_Directory":
        fresh = _Directory(cluster.admin, self._may_write, self._clock)
        return self._by_cluster.setdefault(cluster, fresh)


class _Directory:
    """One cluster's users and ACLs: batched changes, and a look that is remembered."""

    def __init__(
        self, admin: AdminClient, may_write: Callable[[], None], clock: Callable[[], float]
    ) -> None:
        self._admin = admin
        self._may_write = may_write
        self._clock = clock
        self._looks: Batcher[None, Look] = Batcher(self._look)
        self._seen: tuple[float, Look] | None = None
        self._changes = 0
        self._unprotected_until = float("-inf")
        self.admissions = Batcher(self._admit, limit=USERS_A_CALL)
        self.dismissals = Batcher(self._dismiss)
        self.grants = Batcher(self._allow)
        self.revocations = Batcher(self._forbid)

    def protected(self) -> bool:
        """Whether the brokers keep anybody from anything, as far as is known."""
        return self._clock() >= self._unprotected_until

    async def look(self) -> Look:
        """All users and ACLs; a change of ours makes everybody look anew."""
        if self._seen and self._clock() - self._seen[0] < SEEN_SECONDS:
            return self._seen[1]
        changes = self._changes
        seen = (await self._looks.ask({"": None}))[""]
        if changes == self._changes:
            self._seen = (self._clock(), seen)
        return seen

    async def _look(self, _: Mapping[str, None]) -> dict[str, Look]:
        asked = self._admin.describe_cluster(
            include_authorized_operations=True, request_timeout=READ_SECONDS
        )
        mine = await _one("describe_cluster", asked)
        if not set(mine.authorized_operations or ()) >= NEEDED:
            raise Stalled(
                Reason.KAFKA_DENIED,
                "spec.kafka.users needs Alter and Describe on the Cluster: grant them to the "
                "operator's identity",
            )
        everybody: Any = self._admin.describe_user_scram_credentials(request_timeout=READ_SECONDS)
        users = await _one("describe_users", everybody)
        acls = await _one("describe_acls", self._admin.describe_acls(EVERYTHING))
        known = sorted(iterations_of(users))
        return {"": Look(tuple(known), tuple(sorted(acls_of(acls), key=attrgetter("user"))))}

    async def _admit(self, passwords: Mapping[str, str]) -> dict[str, Answer]:
        info = ScramCredentialInfo(MECHANISM, ITERATIONS)
        wanted = [
            UserScramCredentialUpsertion(name, info, password.encode())
            for name, password in passwords.items()
        ]
        return await self._alter(wanted)

    async def _dismiss(self, names: Mapping[str, None]) -> dict[str, Answer]:
        answers = await self._alter([UserScramCredentialDeletion(n, MECHANISM) for n in names])
        return {n: None if _is_gone(answer) else answer for n, answer in answers.items()}

    async def _alter(self, wanted: list[Any]) -> dict[str, Answer]:
        self._begin()
        futures = self._admin.alter_user_scram_credentials(wanted, request_timeout=WRITE_SECONDS)
        try:
            return await settle("alter_users", futures)
        finally:
            self._changed()

    async def _allow(self, acls: Mapping[str, Acl]) -> dict[str, Answer]:
        bindings = {key: binding_of(acl) for key, acl in acls.items()}
        self._begin()
        futures = self._admin.create_acls(list(bindings.values()), request_timeout=WRITE_SECONDS)
        try:
            answers = await settle("create_acls", {k: futures[b] for k, b in bindings.items()})
        finally:
            self._changed()
        if any(_is_unprotected(answer) for answer in answers.values()):
            self._unprotected_until = self._clock() + UNPROTECTED_SECONDS
        return {k: None if _is_unprotected(answer) else answer for k, answer in answers.items()}

    async def _forbid(self, acls: Mapping[str, Acl]) -> dict[str, Answer]:
        filters = {key: filter_of(acl) for key, acl in acls.items()}
        self._begin()
        futures = self._admin.delete_acls(list(filters.values()), request_timeout=WRITE_SECONDS)
        try:
            return await settle("delete_acls", {k: futures[f] for k, f in filters.items()})
        finally:
            self._changed()

    def _begin(self) -> None:
        self._may_write()
        self._changed()

    def _changed(self) -> None:
        """What was seen, or is being seen, is of before."""
        self._changes += 1
        self._seen = None


async def _one(call: str, future: Future[Any]) -> Any:
    """The answer of a call that has one; a refusal is raised."""
    answer = await settle_one(call, future)
    if isinstance(answer, KafkaError):
        raise _refused("", answer)
    return answer


def _refused(subject: str, error: KafkaError) -> ReconcileError:
    if error.code() in DENIED:  # the controller would tell the whole request
        return classified(KafkaError(error.code()), "spec.kafka.users")
    if error.code() in UNSUPPORTED:
        return Stalled(
            Reason.USERS_NOT_SUPPORTED,
            f"spec.kafka.users: no SCRAM users can be made here ({error.str()}): make users and "
            "ACLs as your Kafka wants it, and remove spec.kafka.users",
        )
    if error.code() in AWAY:
        return classified(error, subject)
    return Stalled(Reason.USER_REFUSED, f"{subject}: {error.str()}")


def _is_gone(answer: Answer) -> bool:
    return isinstance(answer, KafkaError) and answer.code() == NO_SUCH_CREDENTIAL


def _is_unprotected(answer: Answer) -> bool:
    return isinstance(answer, KafkaError) and answer.code() == KafkaError.SECURITY_DISABLED
