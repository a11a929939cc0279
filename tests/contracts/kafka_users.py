"""What the users step expects of the KafkaUsers port: one suite for the fake and a real broker."""

import secrets
from dataclasses import dataclass, field

from eventpipeline_operator.api.observed import Acl, ObservedUsers
from eventpipeline_operator.api.types import KafkaAccess
from eventpipeline_operator.desired.kafka_users import ITERATIONS
from eventpipeline_operator.reconcile.kafka_ports import KafkaUsers


@dataclass(frozen=True)
class UsersUnderTest:
    """The users of one cluster, below a prefix of the test's own."""

    port: KafkaUsers
    access: KafkaAccess
    prefix: str = field(default_factory=lambda: f"team-{secrets.token_hex(4)}.shop.")

    @property
    def relay(self) -> str:
        return f"{self.prefix}order.relay"

    def may(self, operation: str, *, prefixed: bool = False) -> Acl:
        return Acl(self.relay, "topic", f"{self.prefix}orders", operation, prefixed)

    async def admit(self, *users: str) -> None:
        await self.port.admit(self.access, {user: secrets.token_hex(8) for user in users})

    async def seen(self) -> ObservedUsers:
        return await self.port.observe(self.access, self.prefix)


class KafkaUsersContract:
    """Subclasses provide the `users` fixture."""

    async def test_before_anything_nobody_is_there(self, users: UsersUnderTest) -> None:
        assert await users.seen() == ObservedUsers()

    async def test_an_admitted_user_is_there(self, users: UsersUnderTest) -> None:
        await users.admit(users.relay)
        assert (await users.seen()).iterations == {users.relay: ITERATIONS}

    async def test_a_user_may_be_admitted_again(self, users: UsersUnderTest) -> None:
        await users.admit(users.relay)
        await users.admit(users.relay)
        assert (await users.seen()).iterations == {users.relay: ITERATIONS}

    async def test_a_dismissed_user_is_gone_and_may_be_dismissed_again(
        self, users: UsersUnderTest
    ) -> None:
        await users.admit(users.relay, f"{users.prefix}order.consumer")
        for _ in range(2):
            await users.port.dismiss(users.access, [users.relay])
        assert set((await users.seen()).iterations) == {f"{users.prefix}order.consumer"}

    async def test_what_is_allowed_is_seen_as_it_was_said(self, users: UsersUnderTest) -> None:
        acls = {users.may("read"), users.may("write", prefixed=True)}
        acls.add(Acl(users.relay, "group", users.relay, "read"))
        acls.add(Acl(users.relay, "transactional_id", f"{users.relay}.", "write", prefixed=True))
        for _ in range(2):
            await users.port.allow(users.access, sorted(acls))
        assert (await users.seen()).acls == acls

    async def test_exactly_what_is_forbidden_is_seen_no_more(self, users: UsersUnderTest) -> None:
        acls = {users.may("read"), users.may("read", prefixed=True), users.may("write")}
        await users.port.allow(users.access, sorted(acls))
        for _ in range(2):
            await users.port.forbid(users.access, [users.may("read")])
        assert (await users.seen()).acls == acls - {users.may("read")}

    async def test_who_is_named_otherwise_is_not_seen(self, users: UsersUnderTest) -> None:
        other = f"x{users.relay}"
        await users.admit(other)
        await users.port.allow(users.access, [Acl(other, "topic", "orders", "read")])
        assert await users.seen() == ObservedUsers()
