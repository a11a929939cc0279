"""`eventpipeline dev`: the same core with the adapters of this machine; wiring and nothing else."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import cast

import aiohttp
import structlog

from eventpipeline_operator.adapters.kafka import KafkaAdmin
from eventpipeline_operator.adapters.kafka_deletion import KafkaDeletion
from eventpipeline_operator.adapters.kafka_lag import KafkaLag
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity
from eventpipeline_operator.adapters.local.addresses import Local
from eventpipeline_operator.adapters.local.backing.kafka import KafkaServer
from eventpipeline_operator.adapters.local.backing.mail import MailCatcher
from eventpipeline_operator.adapters.local.backing.packages import Packages
from eventpipeline_operator.adapters.local.backing.postgres import PostgresServer
from eventpipeline_operator.adapters.local.backing.postgres_users import PostgresUsers
from eventpipeline_operator.adapters.local.backing.vault_local import LocalVault
from eventpipeline_operator.adapters.local.backing.vault_server import VaultServer
from eventpipeline_operator.adapters.local.backing.vault_stand_in import VaultStandIn
from eventpipeline_operator.adapters.local.delivery import Desk, Files
from eventpipeline_operator.adapters.local.devfile import DevFile, Stand
from eventpipeline_operator.adapters.local.entry import Entry
from eventpipeline_operator.adapters.local.files import (
    FileArchive,
    FileLegacies,
    FileSafe,
    load_signing_key,
)
from eventpipeline_operator.adapters.local.images import Images
from eventpipeline_operator.adapters.local.lag import LagBoard
from eventpipeline_operator.adapters.local.launch import inherited_environment
from eventpipeline_operator.adapters.local.migrations import Migrations
from eventpipeline_operator.adapters.local.no_vault import NoVault
from eventpipeline_operator.adapters.local.objects import Objects
from eventpipeline_operator.adapters.local.ports import HOST
from eventpipeline_operator.adapters.local.ports import Ports as PortBook
from eventpipeline_operator.adapters.local.presenter import Presenter
from eventpipeline_operator.adapters.local.replica import Place
from eventpipeline_operator.adapters.local.runtime import LocalRuntime, Parts
from eventpipeline_operator.adapters.local.screen import Screen
from eventpipeline_operator.adapters.local.secrets import SecretFiles
from eventpipeline_operator.adapters.local.servers import Server, Servers
from eventpipeline_operator.adapters.local.state import State
from eventpipeline_operator.adapters.local.survey import Survey
from eventpipeline_operator.adapters.local.view import View
from eventpipeline_operator.adapters.local.watching import follow
from eventpipeline_operator.adapters.metrics import PrometheusMetrics
from eventpipeline_operator.api.types import Key
from eventpipeline_operator.errors import ReconcileError
from eventpipeline_operator.reconcile.inbox import Inbox
from eventpipeline_operator.reconcile.leases import Exists
from eventpipeline_operator.reconcile.pipeline import Reconciler, Settings
from eventpipeline_operator.reconcile.ports import Ports
from eventpipeline_operator.reconcile.queue import Queue, Wake

log = structlog.get_logger()

RESYNC_SECONDS = 15
CODE_SECONDS = 0.7
LAG_SECONDS = 2.0
SWEEP_SECONDS = 10.0
SCALE_SECONDS = 5.0
CONCURRENCY = 4


class VaultChoice(StrEnum):
    """Which Vault there is to be."""

    FOUND = "a real one where it is found, else the stand-in"
    REAL = "a real one, built where it is not found"
    STAND_IN = "the stand-in"


LocalVaultPort = LocalVault | VaultStandIn | NoVault


@dataclass(frozen=True)
class Options:
    """What a person asks for on the command line."""

    files: Files
    state: State
    then: tuple[str, ...] = ()
    vault: VaultChoice = VaultChoice.FOUND


@dataclass(frozen=True)
class Foundation:
    """What there is before anything is reconciled."""

    options: Options
    devfile: DevFile
    safe: FileSafe
    servers: Servers
    presenter: Presenter


@dataclass(frozen=True)
class World:
    """What was put together for one run."""

    objects: Objects
    vault: LocalVaultPort
    reconciler: Reconciler
    inbox: Inbox
    queue: Queue
    desk: Desk
    board: LagBoard
    images: Images
    entry: Entry

    def reload(self) -> None:
        """Deliver what the files hold now, and look at all of it."""
        keys = self.desk.deliver(lambda kind, body: self.inbox.deliver(self.queue, kind, body))
        for key in keys:
            self.queue.add(key, Wake.CHANGE)


async def run(options: Options, screen: Screen) -> None:
    """Until cancelled; on the way out everything that was started is stopped."""
    devfile = options.files.read_dev()
    presenter = Presenter(screen)
    safe = FileSafe(options.state.file("safe"))
    servers = build_servers(options, devfile, safe, presenter)
    presenter.look = lambda: View(rows=tuple(servers.rows()))
    async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
        drawing = group.create_task(presenter.run())
        stack.callback(drawing.cancel)
        stack.push_async_callback(servers.stop)
        await servers.start()
        world = await assemble(Foundation(options, devfile, safe, servers, presenter), stack)
        await work(options, world, servers, presenter)


def build_servers(
    options: Options, devfile: DevFile, safe: FileSafe, presenter: Presenter
) -> Servers:
    """Those that some address of the object stands for, each found or fetched when it starts."""
    state, packages = options.state, Packages(os.environ, say=presenter.say)
    contents = devfile.secrets or state.root / "no-secrets.yaml"

    async def kafka() -> Server:
        return KafkaServer(await packages.kafka(), state.servers / "kafka")

    async def postgres() -> Server:
        return PostgresServer(await packages.postgres(), state.servers / "postgres")

    async def mail() -> Server:
        return MailCatcher(state.servers / "mail")

    async def vault() -> Server:
        programs = None
        if options.vault is not VaultChoice.STAND_IN:
            programs = await packages.vault(build=options.vault is VaultChoice.REAL)
        if programs is None:
            return VaultStandIn(contents, state.file("vault"), PostgresUsers(url), time.time)
        server = VaultServer(programs, state.servers / "vault")
        return LocalVault(server, contents, url, safe, time.time)

    def url(database: str) -> str:
        return cast(PostgresServer, servers.get(Stand.POSTGRES)).url(database)

    builders = {
        Stand.KAFKA: kafka,
        Stand.POSTGRES: postgres,
        Stand.MAIL: mail,
        Stand.VAULT: vault,
    }
    wanted = set(devfile.addresses.values())
    if Stand.VAULT in wanted:
        wanted.add(Stand.POSTGRES)  # it makes users there
    servers = Servers({s: b for s, b in builders.items() if s in wanted}, presenter.changed)
    return servers


async def assemble(base: Foundation, stack: AsyncExitStack) -> World:
    """Put the parts together; the stack takes them apart."""
    options, devfile, servers, presenter = base.options, base.devfile, base.servers, base.presenter
    state, ports = options.state, PortBook()
    session = await stack.enter_async_context(aiohttp.ClientSession())
    objects, images = Objects(state.file("objects")), Images(devfile)
    entry = Entry(ports)
    await entry.start(devfile.entry_port)
    stack.push_async_callback(entry.stop)

    def changed(key: Key) -> None:
        presenter.changed()
        queue.add(key, Wake.CHILD)

    place = Place(state.logs, ports, session)
    migrations = Migrations(state.file("migrations"), place, changed)
    runtime = LocalRuntime(
        Parts(
            place=place,
            images=images,
            secrets=SecretFiles(state.secrets),
            migrations=migrations,
            entry=entry,
            environ=inherited_environment(os.environ),
            changed=changed,
        )
    )
    stack.push_async_callback(runtime.stop)
    security = KafkaSecurity(no_secrets, "", {})
    kafka = KafkaAdmin(security)
    lags = KafkaLag(kafka, security)
    wanted = Stand.VAULT in devfile.addresses.values()
    vault = cast(LocalVaultPort, servers.get(Stand.VAULT)) if wanted else NoVault()
    reconciler = Reconciler(
        Ports(
            kafka=kafka,
            vault=vault,
            runtime=runtime,
            status=objects,
            metrics=PrometheusMetrics(),
            safe=base.safe,
            archive=FileArchive(state.file("journal")),
            lags=lags,
            removal=KafkaDeletion(kafka, security),
            finalizers=objects,
            legacies=FileLegacies(state.file("left-behind")),
        ),
        Settings(
            signing_key=load_signing_key(state.root / "signing.key"),
            trust_seconds=RESYNC_SECONDS / 2,
        ),
    )
    inbox = Inbox(reconciler, build_exists(objects))
    queue = Queue(
        inbox.run_pass,
        concurrency=CONCURRENCY,
        resync_seconds=RESYNC_SECONDS,
        due_in=inbox.due_in,
    )
    desk = Desk(
        options.files,
        images,
        objects,
        runtime,
        lambda read: Local.of(read.addresses, servers.addresses(), entry.port),
    )
    board = LagBoard(lags)
    survey = Survey(objects, runtime, migrations, board)
    presenter.look = lambda: survey.look(
        desk.pipelines, servers.rows(), notes(state, entry), desk.complaints
    )
    return World(objects, vault, reconciler, inbox, queue, desk, board, images, entry)


async def work(options: Options, world: World, servers: Servers, presenter: Presenter) -> None:
    """Everything that goes on as long as the run does."""
    files = options.files
    watched = [files.objects, files.dev, *filter(None, [files.read_dev().secrets])]
    told = {"EVENTPIPELINE_ENTRY": f"http://{HOST}:{world.entry.port}",
            "EVENTPIPELINE_STATE": str(options.state.root)}  # fmt: skip
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        world.reload()
        group.create_task(world.queue.run())
        group.create_task(world.reconciler.journal.run())
        group.create_task(
            world.reconciler.scaler.run(SCALE_SECONDS, lambda k: world.queue.add(k, Wake.CHILD))
        )
        group.create_task(servers.watch(world.reload))
        group.create_task(follow(watched, world.reload))
        group.create_task(repeat(CODE_SECONDS, lambda: follow_code(world)))
        group.create_task(repeat(LAG_SECONDS, lambda: world.board.look(world.desk.pipelines)))
        group.create_task(repeat(SWEEP_SECONDS, lambda: sweep(world)))
        if options.then:
            group.create_task(presenter.follow_up(options.then, told))


async def repeat(seconds: float, look: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again; what goes wrong is logged and tried again."""
    while True:
        try:
            await look()
        except Exception:  # the one broad handler of these loops: log, then again
            log.exception("broke off")
        await asyncio.sleep(seconds)


async def follow_code(world: World) -> None:
    """Have what runs written code replaced."""
    changed = await asyncio.to_thread(world.images.refresh)
    if changed:
        log.info("code was written", images=changed)
        for pipeline in world.desk.pipelines:
            world.queue.add(pipeline.key, Wake.CHILD)


async def sweep(world: World) -> None:
    """Give up what objects that are gone have held."""
    try:
        await world.reconciler.sweep(build_exists(world.objects))
        if not isinstance(world.vault, NoVault):
            await world.vault.forget_ended()
    except ReconcileError as error:
        log.info("sweep broken off", error=str(error))


def build_exists(objects: Objects) -> Exists:
    """Whether an object is still there, and still the same."""

    async def exists(key: Key, uid: str) -> bool:
        return objects.uid(key) == uid

    return exists


async def no_secrets(namespace: str, name: str) -> Mapping[str, str]:
    """What a Kafka that is not ours would need of a cluster's Secrets is not here."""
    del namespace, name
    return {}


def notes(state: State, entry: Entry) -> tuple[str, ...]:
    """What a person wants to know at once."""
    return (f"entry http://{HOST}:{entry.port}   logs {state.logs}",)


def configure_logs(path: Path) -> None:
    """The operator's own lines go to a file: the screen is for people."""
    path.parent.mkdir(parents=True, exist_ok=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
        logger_factory=structlog.WriteLoggerFactory(path.open("a")),
    )
    logging.basicConfig(level=logging.WARNING, filename=path, force=True)
