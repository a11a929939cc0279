"""The servers of a run, and the operator as a process; everything ends with the block."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient

from operatorbench.audit import LogTail
from operatorbench.cluster import Cluster
from operatorbench.objects import Site
from operatorbench.usage import Metrics, Usage, scrape, total
from servers.kafka import KafkaServer, find_java
from servers.kubernetes import KubernetesServer
from servers.kubernetes_operator import OperatorProcess
from servers.local import find_artifact
from servers.vault import VaultServer
from servers.waiting import wait_for

PASSES = "reconcile_duration_seconds_count"
WRITES = "kubernetes_writes_total"
POLL = 0.1
# A broker that holds the topics of earlier measurements, or still deletes them, is slower.
DELETE_AT_ONCE = {"log.segment.delete.delay.ms": "1000"}


class MissingPartError(Exception):
    """Something that the run stands on is not there; the text says how to get it."""


async def wait_until(
    condition: Callable[[], Awaitable[object]], seconds: float, every: float = POLL
) -> None:
    """Ask until the answer is yes; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the other end is a server
            await asyncio.sleep(every)


@dataclass(frozen=True)
class Installation:
    """Everything that scenarios share."""

    kubernetes: KubernetesServer
    kafka: KafkaServer
    vault: VaultServer
    operator: OperatorProcess
    kubernetes_log: LogTail
    vault_log: LogTail
    resync_seconds: int

    @property
    def site(self) -> Site:
        """What objects are told."""
        return Site(self.kafka.bootstrap_servers, self.vault.address)

    def start_operator(self) -> None:
        """Starts the operator as its chart would, but for the time between resyncs."""
        self.operator.start(RESYNC_SECONDS=str(self.resync_seconds))

    @asynccontextmanager
    async def running_operator(self) -> AsyncIterator[Usage]:
        """An operator of its own for a scenario, with samples of what it uses."""
        self.start_operator()
        await asyncio.to_thread(self.operator.wait_until_leading)
        async with self.sampled() as usage:
            yield usage
        await asyncio.to_thread(self.operator.stop)

    @asynccontextmanager
    async def sampled(self) -> AsyncIterator[Usage]:
        """Samples of the operator's process while the block runs."""
        pid = self.operator.pid
        if pid is None:
            raise RuntimeError("the operator does not run")
        usage = Usage(pid, time.monotonic())
        task = asyncio.create_task(usage.follow())
        yield usage
        task.cancel()

    def delete_topics(self, namespace: str) -> None:
        """Remove what the pipelines of a namespace have left in Kafka."""
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers, "log_level": 0})

        def left() -> list[str]:
            return [
                t for t in admin.list_topics(timeout=30).topics if t.startswith(f"{namespace}.")
            ]

        for future in admin.delete_topics(left()).values():
            future.result(60)
        wait_for("the topics' end", lambda: not left(), seconds=60)

    async def metrics(self, cluster: Cluster) -> Metrics:
        """The operator's metrics now."""
        return await scrape(cluster.session, self.operator.metrics_url)

    async def wait_written(self, cluster: Cluster, seconds: float = 60) -> None:
        """Wait until nothing has been written for a second."""
        writes = -1.0

        async def still() -> bool:
            nonlocal writes
            found = await self.metrics(cluster)
            lease = found.get((WRITES, (("kind", "Lease"), ("result", "configured"))), 0.0)
            before, writes = writes, total(found, WRITES) - lease
            return writes == before and not total(found, "journal_pending")

        await wait_until(still, seconds, every=1.0)


@contextmanager
def installed(resync_seconds: int) -> Iterator[Installation]:
    """All servers, the operator's API and rights; the operator itself is not started."""
    java, found = (
        find_java(),
        {n: find_artifact(n) for n in ("kafka", "kubernetes", "vault", "helm")},
    )
    lacking = [words for words in found.values() if isinstance(words, str)]
    if java is None or lacking:
        raise MissingPartError("; ".join(lacking) or "no Java: `make setup-tests` installs it")
    paths = {name: Path(path) for name, path in found.items()}
    with tempfile.TemporaryDirectory(prefix="operatorbench-") as name, ExitStack() as stack:
        directory = Path(name)
        kubernetes = KubernetesServer(paths["kubernetes"], directory, audited=True)
        kafka = KafkaServer(java, paths["kafka"] / "libs", directory, DELETE_AT_ONCE)
        vault = VaultServer(paths["vault"], directory)
        for server in (kubernetes, kafka, vault):
            stack.callback(server.stop)
            server.start()
        kubernetes.install()
        kubernetes.start_controllers("deployment-controller", "replicaset-controller")
        vault.trust(kubernetes)
        vault.audit(directory / "vault-audit.log")
        operator = OperatorProcess(kubernetes, directory)
        stack.callback(operator.stop)
        yield Installation(
            kubernetes, kafka, vault, operator, LogTail(kubernetes.audit_log),
            LogTail(directory / "vault-audit.log"), resync_seconds,
        )  # fmt: skip


@asynccontextmanager
async def connected(installation: Installation) -> AsyncIterator[Cluster]:
    """The user's connection, which watches as long as the block runs."""
    cluster = Cluster(installation.kubernetes)
    async with asyncio.TaskGroup() as group:  # a watcher that fails ends the run
        task = group.create_task(cluster.follow())
        yield cluster
        task.cancel()
    await cluster.close()
