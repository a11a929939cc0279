"""Between topics and secrets: who the workloads are to Kafka, and what the graph lets each do.

What is forbidden comes first, then users and what they may do, then their logins: no pod is told a
login that Kafka does not know. A password is only in the Secret that it is delivered in: when that
is lost there is a new one, and its pods roll. Users of workloads that go stay until no pod has
their login any more.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from eventpipeline_operator.api.names import topic_prefix
from eventpipeline_operator.api.observed import (
    Acl,
    Fate,
    ObservedUsers,
    Problem,
    TopicsObservation,
    UserItem,
    UsersObservation,
)
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.desired.kafka_user_plan import UserPlan, plan_users
from eventpipeline_operator.desired.kafka_users import (
    PASSWORD,
    build_kafka_users,
    build_login,
    login_source,
    name_login,
)
from eventpipeline_operator.desired.records import KafkaUserRecord, SecretReference
from eventpipeline_operator.errors import ReconcileError
from eventpipeline_operator.policies.grants import Grants, evaluate_groups
from eventpipeline_operator.reconcile.kafka_ports import KafkaUsers
from eventpipeline_operator.reconcile.ports import Runtime, SecretReader
from eventpipeline_operator.reconcile.recording import conceal, record_call

log = structlog.get_logger()

PASSWORD_BYTES = 24
WITHOUT_LOGIN = Problem(
    Reason.USERS_NOT_SUPPORTED,
    "spec.kafka.users: at spec.kafka.bootstrapServers nobody logs in, so that nobody can be known "
    "there, and workloads connect as nobody: name a listener with SASL and give the operator a "
    "login (spec.kafka.client.sasl, or kafkaAdmins of its installer), or remove spec.kafka.users",
    Fate.STALL,
)
WITHOUT_AUTHORIZER = Problem(
    Reason.AUTHORIZER_MISSING,
    "spec.kafka.users: the brokers have no authorizer, every user may do everything: set "
    "authorizer.class.name on the brokers, or remove spec.kafka.users",
    Fate.STALL,
)

Logins = Mapping[str, SecretReference]


def generate_password() -> str:
    """Nobody guesses it, and it needs no quoting anywhere."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def has_users(pipeline: EventPipeline) -> bool:
    """Whether there are Kafka users to look after: wanted ones, or some that were."""
    return pipeline.kafka_users or bool(recorded_users(pipeline))


def recorded_users(pipeline: EventPipeline) -> list[str]:
    """Kafka users that the status tells."""
    items = (pipeline.status.get("users") or {}).get("items") or ()
    return [item["userName"] for item in items]


@dataclass(frozen=True)
class _Sight:
    """What a pass wants and sees."""

    records: Sequence[KafkaUserRecord]
    observed: ObservedUsers
    logins: Logins


class Users:
    """Makes Kafka's users and ACLs true, and delivers logins."""

    def __init__(
        self,
        kafka: KafkaUsers,
        runtime: Runtime,
        reader: SecretReader,
        grants: Grants,
        key: bytes,
        generate: Callable[[], str] = generate_password,
    ) -> None:
        self._kafka = kafka
        self._runtime = runtime
        self._reader = reader
        self._grants = grants
        self._key = key
        self._generate = generate

    async def reconcile(
        self, pipeline: EventPipeline, topics: TopicsObservation
    ) -> tuple[UsersObservation | None, Logins]:
        """Users as the graph has them; None where there are none and were none."""
        if not has_users(pipeline):
            return None, {}
        denied = evaluate_groups(pipeline, self._grants) if pipeline.kafka_users else {}
        records = build_kafka_users(pipeline, topics.apart, denied) if pipeline.kafka_users else ()
        logins = self._delivered(pipeline, records)
        problems: list[Problem] = list(denied.values())
        known = [user for user in recorded_users(pipeline) if user not in {r.name for r in records}]
        if not topics.verified:  # Kafka has just not answered: it is not asked once more
            problems += topics.problems[-1:]
            return self._told(pipeline, records, logins, problems, known), logins
        try:
            observed = await self._kafka.observe(pipeline.kafka_access, topic_prefix(pipeline.key))
            if pipeline.kafka_users and not observed.login:
                return _unsupported(records), {}
            plan, logins = await self._settle(pipeline, _Sight(records, observed, logins))
        except ReconcileError as error:
            problems.append(Problem.of(error))
            logins = self._delivered(pipeline, records)
            return self._told(pipeline, records, logins, problems, known), logins
        if pipeline.kafka_users and not observed.authorizer:
            problems.append(WITHOUT_AUTHORIZER)
        return self._told(pipeline, records, logins, problems, plan.leaving), logins

    async def depart(self, pipeline: EventPipeline) -> None:
        """The object goes and its workloads have stopped: its users go."""
        observed = await self._kafka.observe(pipeline.kafka_access, topic_prefix(pipeline.key))
        plan = plan_users(pipeline.key, (), observed)
        await self._forbid(pipeline, plan.forbid)
        await self._dismiss(pipeline, plan.dismiss)

    async def _settle(self, pipeline: EventPipeline, sight: _Sight) -> tuple[UserPlan, Logins]:
        """Do what is to be done; the logins as they are then."""
        observed = sight.observed
        wanted = {record.name for record in sight.records}
        departed = {*observed.iterations, *(acl.user for acl in observed.acls)} - wanted
        used = [
            user
            for user in departed
            if self._runtime.holds_superseded(pipeline, name_login(pipeline, user).entry, None)
        ]
        delivered = [u for u in wanted if name_login(pipeline, u).entry in sight.logins]
        plan = plan_users(pipeline.key, sight.records, observed, delivered, used)
        await self._forbid(pipeline, plan.forbid)
        logins = dict(sight.logins)
        if plan.admit:
            passwords = {user: await self._password(pipeline, user, logins) for user in plan.admit}
            conceal(passwords.values())
            log.info("admitting Kafka users", users=list(passwords))
            await self._kafka.admit(pipeline.kafka_access, passwords)
            record_call("admit Kafka users", ", ".join(passwords), "done")
            await self._allow(pipeline, plan.allow)
            for user, password in passwords.items():
                login = build_login(pipeline, user, password, self._key)
                await self._runtime.apply(pipeline, [login])
                logins[login.entry] = login.reference
        else:
            await self._allow(pipeline, plan.allow)
        await self._dismiss(pipeline, plan.dismiss)
        return plan, logins

    async def _password(self, pipeline: EventPipeline, user: str, logins: Logins) -> str:
        """As it was delivered; a new one where that is not to be had any more."""
        login = logins.get(name_login(pipeline, user).entry)
        if login is None:
            return self._generate()
        name = self._runtime.secret_name(pipeline, login)
        contents = await self._reader.contents(pipeline.key.namespace, name)
        return contents.get(PASSWORD) or self._generate()

    async def _allow(self, pipeline: EventPipeline, acls: frozenset[Acl]) -> None:
        if acls:
            log.info("allowing Kafka users", acls=_shown(acls))
            await self._kafka.allow(pipeline.kafka_access, sorted(acls))
            record_call("allow Kafka users", _counted(acls), "done")

    async def _forbid(self, pipeline: EventPipeline, acls: frozenset[Acl]) -> None:
        if acls:
            log.info("forbidding Kafka users", acls=_shown(acls))
            await self._kafka.forbid(pipeline.kafka_access, sorted(acls))
            record_call("forbid Kafka users", _counted(acls), "done")

    async def _dismiss(self, pipeline: EventPipeline, users: Sequence[str]) -> None:
        if users:
            log.info("dismissing Kafka users", users=list(users))
            await self._kafka.dismiss(pipeline.kafka_access, users)
            record_call("dismiss Kafka users", ", ".join(users), "done")

    def _delivered(self, pipeline: EventPipeline, records: Sequence[KafkaUserRecord]) -> Logins:
        """Logins that are there, by their entries."""
        found = (
            self._runtime.observe_secret(
                pipeline, name_login(pipeline, r.name), login_source(pipeline, r.name)
            )
            for r in records
        )
        return {login.entry: login for login in found if login}

    def _told(
        self,
        pipeline: EventPipeline,
        records: Sequence[KafkaUserRecord],
        logins: Logins,
        problems: Sequence[Problem],
        leaving: Sequence[str],
    ) -> UsersObservation:
        items = []
        for record in records:
            login = logins.get(name_login(pipeline, record.name).entry)
            items.append(
                UserItem(record.name, self._runtime.secret_name(pipeline, login) if login else "")
            )
        items += [UserItem(user, "") for user in leaving]
        return UsersObservation(
            desired=len(records),
            usable=len(logins) == len(records),
            leaving=bool(leaving),
            items=tuple(items),
            problems=tuple(problems),
        )


def _unsupported(records: Sequence[KafkaUserRecord]) -> UsersObservation:
    return UsersObservation(len(records), usable=True, supported=False, problems=(WITHOUT_LOGIN,))


def _shown(acls: frozenset[Acl]) -> list[str]:
    return [str(acl) for acl in sorted(acls)[:20]]


def _counted(acls: frozenset[Acl]) -> str:
    return f"{len(acls)} ACLs of {', '.join(sorted({acl.user for acl in acls}))}"
