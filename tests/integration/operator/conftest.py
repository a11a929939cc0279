"""A real API server and a real Vault for the operator's tests, once per session."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from eventpipeline_operator.adapters.kube.client import KubeClient
from servers.certificate import Certificate, write_certificate
from servers.command_line import CommandLine
from servers.kafka import ADMIN, ADMIN_PASSWORD, KafkaRunner, KafkaServer, SecureListener
from servers.kubernetes import TOKEN, KubernetesServer
from servers.kubernetes_cluster import Cluster, build_shop
from servers.kubernetes_operator import OperatorProcess
from servers.local import find_artifact
from servers.postgres import PostgresServer
from servers.vault import VaultServer
from servers.vault_database import VaultDatabase
from servers.waiting import wait_for

Json = dict[str, Any]


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesServer]:
    for needed in ("kubernetes", "helm"):
        found = find_artifact(needed)
        if isinstance(found, str):
            pytest.skip(found)
    binaries = find_artifact("kubernetes")
    assert isinstance(binaries, Path)
    server = KubernetesServer(binaries, tmp_path_factory.mktemp("kubernetes"), audited=True)
    server.start()
    server.install()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def vault(
    tmp_path_factory: pytest.TempPathFactory, kubernetes: KubernetesServer
) -> Iterator[VaultServer]:
    directory = find_artifact("vault")
    if isinstance(directory, str):
        pytest.skip(directory)
    server = VaultServer(directory, tmp_path_factory.mktemp("vault"))
    server.start()
    server.trust(kubernetes)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def guarded(run_kafka: KafkaRunner, certificate: Certificate) -> Iterator[KafkaServer]:
    """A broker that lets its users do only what ACLs say; its one administrator is ADMIN."""
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:ANONYMOUS;User:{ADMIN}",
    }
    listener = SecureListener(certificate.both, ADMIN, ADMIN_PASSWORD)
    with run_kafka("guarded", settings, listener) as server:
        yield server


@pytest.fixture
def namespace(kubernetes: KubernetesServer) -> Iterator[str]:
    """A namespace of the test's own; its objects are deleted, so that no later pass sees them."""
    name = f"test-{secrets.token_hex(4)}"
    done = kubernetes.kubectl("create", "namespace", name)
    assert done.returncode == 0, done.stderr
    yield name
    kubernetes.kubectl("-n", name, "delete", "eventpipelines", "--all")


@pytest.fixture
async def client(kubernetes: KubernetesServer) -> AsyncIterator[KubeClient]:
    configuration = Configuration(host=kubernetes.url)
    configuration.ssl_ca_cert = str(kubernetes.authority)
    configuration.api_key = {"BearerToken": f"Bearer {TOKEN}"}
    async with ApiClient(configuration) as api:
        yield KubeClient(api)


@pytest.fixture(scope="session")
def operator(
    kubernetes: KubernetesServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """One operator for all tests; who kills it starts it again."""
    process = OperatorProcess(kubernetes, tmp_path_factory.mktemp("operator"))
    process.start()
    process.wait_until_leading()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def without_operator(operator: OperatorProcess) -> Iterator[None]:
    """For tests that play the operator themselves, or run others in its place."""
    operator.stop()
    yield
    operator.start()
    operator.wait_until_leading()


@pytest.fixture
def cluster(kubernetes: KubernetesServer, namespace: str) -> Cluster:
    return Cluster(kubernetes, namespace)


@pytest.fixture
def shop(
    cluster: Cluster, kafka: KafkaServer, vault: VaultServer, operator: OperatorProcess
) -> Json:
    """The object, applied."""
    assert operator
    namespace = cluster.namespace
    cluster.run("create", "serviceaccount", "shop-vault")
    vault.write(namespace, USER="ada", PASSWORD="p@ss/word")
    vault.allow(namespace, namespace, "shop-vault", namespace)
    manifest = build_shop(namespace, kafka, vault)
    cluster.apply(manifest)
    return manifest


@pytest.fixture
def ready_shop(shop: Json, cluster: Cluster) -> Json:
    cluster.wait_for_condition("WorkloadsReady", "False", "MigrationRunning")
    cluster.finish_jobs()
    wait_for("the Deployments", lambda: len(cluster.names("deployments")) == 3)
    cluster.finish_rollouts()
    cluster.wait_for_condition("Ready", "True", "Succeeded")
    return shop


@pytest.fixture
def resting_shop(ready_shop: Json, cluster: Cluster, operator: OperatorProcess) -> Json:
    """Ready, and everything written about it: from now on each write is one too many."""
    cluster.wait_until_told("Ready", "True", operator)
    return ready_shop


@pytest.fixture
def database(
    vault: VaultServer, postgres: PostgresServer, namespace: str
) -> Iterator[VaultDatabase]:
    """An engine of the test's own, on a database of its own."""
    engine = VaultDatabase(vault, postgres.create_database("dynamic"), f"db-{namespace}")
    engine.enable()
    yield engine
    engine.disable()


@pytest.fixture
def command_line(kubernetes: KubernetesServer, namespace: str, tmp_path: Path) -> CommandLine:
    return CommandLine(kubernetes.write_kubeconfig(tmp_path / "kubeconfig"), namespace)
