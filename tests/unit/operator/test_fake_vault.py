"""The fake that the steps are tested with keeps the contract of the real ones."""

import pytest

from contracts.vault import SECRET, VaultContract, VaultUnderTest
from eventpipeline_operator.api.types import Vault
from eventpipeline_operator.reconcile.ports import KvValue
from unit.operator.fakes import FakeVault


class FakeUnderTest(VaultUnderTest):
    near_end = 950

    def __init__(self) -> None:
        self.fake = FakeVault(secrets={"shop": KvValue(SECRET, "1")})
        self.port = self.fake
        self.login = Vault("http://vault:8200", role="shop", service_account="shop-vault")

    async def write(self, path: str, values: dict[str, str]) -> None:
        version = int(self.fake.secrets[path].version) + 1
        self.fake.secrets[path] = KvValue(values, str(version))

    def pass_time(self, seconds: float) -> None:
        self.fake.now += seconds


class TestFakeVault(VaultContract):
    @pytest.fixture
    def vault(self) -> VaultUnderTest:
        return FakeUnderTest()
