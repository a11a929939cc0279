"""An operator of each module's own, behind a proxy that can refuse and cut."""

from collections.abc import Iterator

import pytest

from servers.kubernetes import KubernetesServer
from servers.kubernetes_operator import OperatorProcess
from servers.kubernetes_proxy import KubernetesProxy, redirect


@pytest.fixture(scope="module")
def proxy(kubernetes: KubernetesServer) -> Iterator[KubernetesProxy]:
    server = KubernetesProxy(kubernetes)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def operator(
    operator: OperatorProcess,
    kubernetes: KubernetesServer,
    proxy: KubernetesProxy,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[OperatorProcess]:
    """The one that leads while this module runs; the session's own stands aside."""
    operator.stop()
    process = OperatorProcess(kubernetes, tmp_path_factory.mktemp("operator"))
    redirect(process._kubeconfig, proxy.url)
    process.start()
    process.wait_until_leading()
    yield process
    process.stop()
    operator.start()
    operator.wait_until_leading()
