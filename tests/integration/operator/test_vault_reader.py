"""The Vault adapter against a real Vault that trusts a real API server."""

import asyncio
from dataclasses import replace

import pytest

from eventpipeline_operator.adapters.kube.client import KubeClient
from eventpipeline_operator.adapters.kube.tokens import KubeTokens
from eventpipeline_operator.adapters.vault import VaultAdapter
from eventpipeline_operator.adapters.vault_calls import VaultCalls
from eventpipeline_operator.adapters.vault_sessions import VaultSessions
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.errors import Retryable, Stalled
from servers.kubernetes import KubernetesServer
from servers.local import free_port
from servers.vault import VaultServer
from unit.operator.fakes import FakeSafe


class CountingTokens:
    """Tokens of real ServiceAccounts, counted."""

    def __init__(self, client: KubeClient) -> None:
        self._tokens = KubeTokens(client)
        self.asked = 0

    async def token(self, namespace: str, account: str, audiences: tuple[str, ...]) -> str:
        self.asked += 1
        return await self._tokens.token(namespace, account, audiences)

    async def authority(self, namespace: str, name: str) -> str:
        return await self._tokens.authority(namespace, name)


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def tokens(client: KubeClient) -> CountingTokens:
    return CountingTokens(client)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(tokens: CountingTokens, clock: Clock) -> VaultAdapter:
    calls = VaultCalls(tokens.authority)
    return VaultAdapter(calls, VaultSessions(calls, tokens.token, FakeSafe(), clock), clock)


@pytest.fixture(params=["kubernetes", "jwt"])
def login(
    request: pytest.FixtureRequest, kubernetes: KubernetesServer, vault: VaultServer, namespace: str
) -> Vault:
    """A role, an account and a secret named after the test's namespace."""
    kubernetes.kubectl("-n", namespace, "create", "serviceaccount", "app")
    vault.write(namespace, USER="ada")
    vault.allow(namespace, namespace, "app", namespace)
    method = str(request.param)
    return Vault(vault.address, role=namespace, service_account="app", method=method, mount=method)


async def test_a_secret_is_read_with_its_version(
    reader: VaultAdapter, login: Vault, vault: VaultServer, namespace: str
) -> None:
    vault.write(namespace, USER="eve")
    newest = await reader.read_kv(namespace, login, "kv", namespace, None)
    assert (newest.values, newest.version) == ({"USER": "eve"}, "2")
    pinned = await reader.read_kv(namespace, login, "kv", namespace, 1)
    assert (pinned.values, pinned.version) == ({"USER": "ada"}, "1")


async def test_readers_at_the_same_time_share_one_login(
    reader: VaultAdapter, login: Vault, namespace: str, tokens: CountingTokens
) -> None:
    await asyncio.gather(
        *(reader.read_kv(namespace, login, "kv", namespace, None) for _ in range(10))
    )
    assert tokens.asked == 1


async def test_a_session_is_renewed_rather_than_made_anew(
    reader: VaultAdapter, login: Vault, namespace: str, tokens: CountingTokens, clock: Clock
) -> None:
    await reader.read_kv(namespace, login, "kv", namespace, None)
    clock.now += 500  # of 600 seconds
    await reader.read_kv(namespace, login, "kv", namespace, None)
    assert tokens.asked == 1
    clock.now += 1000
    await reader.read_kv(namespace, login, "kv", namespace, None)
    assert tokens.asked == 2


async def test_a_token_that_vault_has_forgotten_is_replaced(
    reader: VaultAdapter,
    login: Vault,
    vault: VaultServer,
    namespace: str,
    tokens: CountingTokens,
) -> None:
    await reader.read_kv(namespace, login, "kv", namespace, None)
    vault.client.sys.revoke_prefix(f"auth/{login.mount}/login")
    await reader.read_kv(namespace, login, "kv", namespace, None)
    assert tokens.asked == 2


async def test_a_path_outside_the_policy_is_denied(
    reader: VaultAdapter, login: Vault, namespace: str
) -> None:
    with pytest.raises(Stalled, match="may not read kv/data/other") as raised:
        await reader.read_kv(namespace, login, "kv", "other", None)
    assert raised.value.reason == Reason.VAULT_READ_DENIED


async def test_a_missing_secret_is_named(
    reader: VaultAdapter, login: Vault, vault: VaultServer, namespace: str
) -> None:
    vault.client.secrets.kv.v2.delete_metadata_and_all_versions(namespace, mount_point="kv")
    with pytest.raises(Stalled, match="Vault has no secret kv/") as raised:
        await reader.read_kv(namespace, login, "kv", namespace, None)
    assert raised.value.reason == Reason.SECRET_NOT_FOUND


@pytest.mark.parametrize("part", ["role", "mount"])
async def test_a_refused_login_names_role_and_account(
    reader: VaultAdapter, login: Vault, namespace: str, part: str
) -> None:
    wrong = replace(login, role="nobody") if part == "role" else replace(login, mount="nowhere")
    with pytest.raises(Stalled, match=f"ServiceAccount {namespace}/app") as raised:
        await reader.read_kv(namespace, wrong, "kv", namespace, None)
    assert raised.value.reason == Reason.VAULT_LOGIN_DENIED


async def test_the_token_of_another_account_is_refused(
    reader: VaultAdapter, login: Vault, kubernetes: KubernetesServer, namespace: str
) -> None:
    kubernetes.kubectl("-n", namespace, "create", "serviceaccount", "other")
    other = replace(login, service_account="other")
    with pytest.raises(Stalled, match=f"ServiceAccount {namespace}/other") as raised:
        await reader.read_kv(namespace, other, "kv", namespace, None)
    assert raised.value.reason == Reason.VAULT_LOGIN_DENIED


async def test_a_missing_account_is_named(
    reader: VaultAdapter, login: Vault, namespace: str
) -> None:
    with pytest.raises(Stalled, match="ghost is not there in namespace") as raised:
        await reader.read_kv(
            namespace, replace(login, service_account="ghost"), "kv", namespace, None
        )
    assert raised.value.reason == Reason.SERVICE_ACCOUNT_MISSING


async def test_a_vault_that_is_away_is_a_matter_of_time(
    reader: VaultAdapter, login: Vault, namespace: str
) -> None:
    away = replace(login, address=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Retryable) as raised:
        await reader.read_kv(namespace, away, "kv", namespace, None)
    assert raised.value.reason == Reason.VAULT_UNAVAILABLE
