"""Wiring: config → adapters → reconciler → queue → kopf; nothing else."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import kopf
import structlog
from aiohttp import web
from kubernetes.aio.client import ApiClient

from eventpipeline_operator.adapters.kafka import KafkaAdmin
from eventpipeline_operator.adapters.kafka_deletion import KafkaDeletion
from eventpipeline_operator.adapters.kafka_lag import KafkaLag
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity, parse_admins
from eventpipeline_operator.adapters.kafka_users import KafkaUserAdmin
from eventpipeline_operator.adapters.kube.archive import KubeArchive
from eventpipeline_operator.adapters.kube.cache import Cache
from eventpipeline_operator.adapters.kube.client import ApiError, KubeClient
from eventpipeline_operator.adapters.kube.configuration import kube_configuration
from eventpipeline_operator.adapters.kube.finalizers import KubeFinalizers
from eventpipeline_operator.adapters.kube.lease import Lease
from eventpipeline_operator.adapters.kube.legacies import KubeLegacies
from eventpipeline_operator.adapters.kube.resources import MIDDLEWARE, PIPELINE, Ref
from eventpipeline_operator.adapters.kube.runtime import KubeRuntime
from eventpipeline_operator.adapters.kube.safe import KubeSafe
from eventpipeline_operator.adapters.kube.status import KubeStatus
from eventpipeline_operator.adapters.kube.tokens import KubeTokens, load_signing_key
from eventpipeline_operator.adapters.kube.watch import Watcher
from eventpipeline_operator.adapters.metrics import (
    OBJECTS,
    OLDEST,
    QUEUED,
    RECORDS,
    UNREADY,
    WAITED,
    PrometheusMetrics,
)
from eventpipeline_operator.adapters.vault import VaultAdapter
from eventpipeline_operator.adapters.vault_calls import VaultCalls
from eventpipeline_operator.adapters.vault_sessions import VaultSessions
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.config import Config, ConfigError
from eventpipeline_operator.errors import ReconcileError
from eventpipeline_operator.handlers import pipeline, startup
from eventpipeline_operator.handlers.probes import Health, build_app
from eventpipeline_operator.policies.grants import Grants
from eventpipeline_operator.reconcile.inbox import Inbox
from eventpipeline_operator.reconcile.leases import Exists
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.ports import Ports
from eventpipeline_operator.reconcile.queue import Queue, Wake

HANDLERS = (pipeline, startup)  # importing them registers them with kopf

log = structlog.get_logger()

SWEEP_SECONDS = 10.0
WATCH_SECONDS = 2.0
LOOKS_A_RESYNC = 12


def main() -> None:
    """Run until told to stop."""
    try:
        config = Config.from_env(os.environ)
    except ConfigError as error:
        sys.exit(f"configuration: {error}")
    configure_logs(config.log_level)
    asyncio.run(run(config))


def configure_logs(level: str) -> None:
    """JSON lines on stdout, ours and the libraries' alike."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


async def run(config: Config) -> None:
    """Lead, then work; stop at a signal or when any part fails."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    configuration, _ = await kube_configuration()
    async with ApiClient(configuration) as api:
        lease = Lease(KubeClient(api), config.namespace, config.identity)
        client = KubeClient(api, lease.check) if config.leader_election else KubeClient(api)
        health = Health(oldest=lambda: 0.0, stuck_seconds=config.stuck_seconds)
        server = await serve(health, config.port)
        health.ready = True
        try:
            await until_stopped(stop, work(config, client, lease, health, stop))
        finally:
            if config.leader_election:
                await lease.release()
            await server.cleanup()


async def work(
    config: Config, client: KubeClient, lease: Lease, health: Health, stop: asyncio.Event
) -> None:
    """Everything that only the leader does."""
    if config.leader_election:
        await lease.acquire()
    cache = Cache(lambda key: queue.add(key, Wake.CHILD))
    reconciler, sessions = await build_reconciler(config, client, cache)
    exists = build_exists(client)
    inbox = Inbox(reconciler, exists)
    queue = Queue(
        inbox.run_pass,
        concurrency=config.concurrency,
        resync_seconds=config.resync_seconds,
        due_in=inbox.due_in,
        waited=WAITED.observe,
    )
    health.oldest = queue.oldest
    QUEUED.set_function(lambda: len(queue))
    OBJECTS.set_function(lambda: len(inbox))
    UNREADY.count = reconciler.unready
    RECORDS.set_function(reconciler.unwritten)
    optional = (MIDDLEWARE,) if config.traefik_class else ()
    watcher = Watcher(client, cache, config.watch_namespaces, optional)
    memo = kopf.Memo(deliver=lambda kind, body: inbox.deliver(queue, kind, body))
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.run())
        if config.leader_election:
            group.create_task(lease.keep())
        await watcher.synced.wait()
        await note_all(client, inbox, config.watch_namespaces)
        log.info("children and claims known")
        group.create_task(queue.run())
        group.create_task(report_age(queue))
        group.create_task(reconciler.journal.run())
        looks = config.resync_seconds / LOOKS_A_RESYNC
        group.create_task(reconciler.scaler.run(looks, lambda key: queue.add(key, Wake.CHILD)))
        group.create_task(sweep(reconciler, sessions, exists, inbox, queue))
        group.create_task(run_kopf(config, memo, stop))


async def build_reconciler(
    config: Config, client: KubeClient, cache: Cache
) -> tuple[Reconciler, VaultSessions]:
    """The reconciler on Kubernetes, Kafka and Vault, and the sessions that it holds with Vault."""
    tokens = KubeTokens(client)
    safe = KubeSafe(client, config.namespace)
    calls = VaultCalls(tokens.authority, client.may_write)
    sessions = VaultSessions(calls, tokens.token, safe, time.time)
    security = KafkaSecurity(tokens.contents, config.namespace, parse_admins(config.kafka_admins))
    kafka = KafkaAdmin(security, client.may_write)
    reconciler = Reconciler(
        Ports(
            kafka=kafka,
            users=KafkaUserAdmin(kafka, security, client.may_write),
            secrets=tokens,
            vault=VaultAdapter(calls, sessions, time.time),
            runtime=KubeRuntime(client, cache),
            status=KubeStatus(client, config.identity),
            metrics=PrometheusMetrics(),
            safe=safe,
            archive=KubeArchive(client, config.namespace),
            lags=KafkaLag(kafka, security),
            removal=KafkaDeletion(kafka, security),
            finalizers=KubeFinalizers(client),
            legacies=KubeLegacies(client, config.namespace),
        ),
        Settings(
            signing_key=await load_signing_key(client, config.namespace),
            grants=Grants(config.topic_grants, config.external_grants),
            max_records=config.deletion_max_records,
            trust_seconds=config.resync_seconds / 2,
            traefik_class=config.traefik_class,
        ),
    )
    return reconciler, sessions


async def run_kopf(config: Config, memo: kopf.Memo, stop: asyncio.Event) -> None:
    """Kopf's reactor; when it ends (it has its own signal handlers), everything ends.

    It gives up on answers to a watch that pass by themselves (410 and 403): it is begun anew then.
    """
    while not stop.is_set():
        try:
            await kopf.operator(
                clusterwide=not config.watch_namespaces,
                namespaces=config.watch_namespaces,
                standalone=True,
                # Its own guess asks for the user's name, which an image need not have.
                identity=config.identity,  # type: ignore[arg-type] # a NewType not exported
                memo=memo,
                stop_flag=stop,
            )
        except Exception:  # the one broad handler of this loop: log, then begin anew
            log.exception("watching the objects broke off")
            await asyncio.sleep(WATCH_SECONDS)
        else:
            stop.set()


async def report_age(queue: Queue) -> None:
    """Keep the gauge of the oldest unreconciled object true."""
    while True:
        OLDEST.set(queue.oldest())
        await asyncio.sleep(1)


async def note_all(client: KubeClient, inbox: Inbox, namespaces: tuple[str, ...]) -> None:
    """Know all claims before the first pass; kopf's own index takes n² steps for n objects."""
    for scope in namespaces or (None,):
        async for page in client.pages(PIPELINE.path(scope), []):
            for body in page["items"]:
                inbox.note(body)


def build_exists(client: KubeClient) -> Exists:
    """Whether an object is still there, and still the same."""

    async def exists(key: Key, uid: str) -> bool:
        try:
            live = await client.get(Ref(PIPELINE.name, *key))
        except ApiError as error:
            raise error.classified(str(key)) from error
        return live is not None and live["metadata"]["uid"] == uid

    return exists


async def sweep(
    reconciler: Reconciler, sessions: VaultSessions, exists: Exists, inbox: Inbox, queue: Queue
) -> None:
    """Give up, from time to time, what objects that are gone have held."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await inbox.forget_ended(queue)
            await reconciler.sweep(exists)
            await sessions.forget_ended()
        except ReconcileError as error:
            log.info("sweep broken off", error=str(error))


async def serve(health: Health, port: int) -> web.AppRunner:
    """Start the probes' server."""
    runner = web.AppRunner(build_app(health), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner


async def until_stopped(stop: asyncio.Event, job: Coroutine[Any, Any, None]) -> None:
    """Run a job until it fails or until the stop event."""
    task = asyncio.create_task(job)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return
    await task
