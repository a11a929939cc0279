"""The shop in the kind cluster does what the same object does as local processes."""

from collections.abc import Iterator
from typing import Any

import pytest

from contracts.runtime import MAIL_LOGIN, RuntimeContract
from e2e.conftest import Cluster, Site
from e2e.running import ClusterRuntime
from e2e.vaults import VaultAdmin


class TestKindCluster(RuntimeContract):
    @pytest.fixture(scope="class")
    @classmethod
    def runtime(
        cls,
        cluster: Cluster,
        shop: Site,
        mails: Site,
        shop_object: dict[str, Any],
        vault_admin: VaultAdmin,
    ) -> Iterator[ClusterRuntime]:
        """The deployed one; afterwards object and secret are as they were."""
        runtime = ClusterRuntime(cluster, shop, mails, shop_object, vault_admin)
        login = runtime.read_secret(MAIL_LOGIN)
        yield runtime
        runtime.apply(shop_object)
        if runtime.read_secret(MAIL_LOGIN) != login:
            runtime.write_secret(MAIL_LOGIN, login)
