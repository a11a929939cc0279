"""`eventpipeline dev`: the same core with the adapters of this machine; wiring and nothing else."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import structlog

from eventpipeline_operator.adapters.kafka import KafkaAdmin
from eventpipeline_operator.adapters.kafka_deletion import KafkaDeletion
from eventpipeline_operator.adapters.kafka_lag import KafkaLag
from eventpipeline_operator.adapters.kafka_security import KafkaSecurity
from eventpipeline_operator.adapters.kafka_users import KafkaUserAdmin
from eventpipeline_operator.adapters.local.addresses import Local
from eventpipeline_operator.adapters.local.delivery import Desk, Files
from eventpipeline_operator.adapters.local.devfile import DevFile
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
from eventpipeline_operator.adapters.local.servers import Servers
from eventpipeline_operator.adapters.local.stands import (
    Base,
    LocalVaultPort,
    VaultChoice,
    build_servers,
    find_vault,
)
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


@dataclass(frozen=True)
class Options:
    """What a person asks for on the command line."""

    files: Files
    state: State
    then: tuple[str, ...] = ()
    vault: VaultChoice = VaultChoice.FOUND


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
    state, presenter = options.state, Presenter(screen)
    safe = FileSafe(state.file("safe"))
    base = Base(state, options.files.read_dev(), options.vault, safe, presenter)
    servers = build_servers(base)
    presenter.look = lambda: View(rows=tuple(servers.rows()))
    async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
        drawing = group.create_task(presenter.run())
        stack.callback(drawing.cancel)
        stack.push_async_callback(servers.stop)
        await servers.start()
        world = await assemble(options, base, servers, stack)
        await work(options, world, servers, presenter)


async def assemble(options: Options, base: Base, servers: Servers, stack: AsyncExitStack) -> World:
    """Put the parts together; the stack takes them apart."""
    objects, images = Objects(base.state.file("objects")), Images(base.devfile)
    entry = Entry(PortBook())
    await entry.start(base.devfile.entry_port)
    stack.push_async_callback(entry.stop)
    session = await stack.enter_async_context(aiohttp.ClientSession())

    def changed(key: Key) -> None:
        base.presenter.changed()
        queue.add(key, Wake.CHILD)

    parts = build_parts(base.state, images, entry, session, changed)
    runtime = LocalRuntime(parts)
    stack.push_async_callback(runtime.stop)
    secrets = NoSecrets()
    security = KafkaSecurity(secrets.contents, "", {})
    kafka, vault = KafkaAdmin(security), find_vault(servers, base.devfile)
    ports = Ports(
        kafka=kafka,
        users=KafkaUserAdmin(kafka, security),
        secrets=secrets,
        vault=vault,
        runtime=runtime,
        status=objects,
        metrics=PrometheusMetrics(),
        safe=base.safe,
        archive=FileArchive(base.state.file("journal")),
        lags=KafkaLag(kafka, security),
        removal=KafkaDeletion(kafka, security),
        finalizers=objects,
        legacies=FileLegacies(base.state.file("left-behind")),
    )
    key = load_signing_key(base.state.root / "signing.key")
    reconciler = Reconciler(ports, Settings(key, trust_seconds=RESYNC_SECONDS / 2))
    inbox = Inbox(reconciler, build_exists(objects))
    queue = build_queue(inbox)
    place = build_place(servers, entry)
    desk = Desk(options.files, images, objects, runtime, place)
    board = LagBoard(ports.lags)
    survey = Survey(objects, runtime, parts.migrations, board)
    base.presenter.look = lambda: survey.look(
        desk.pipelines,
        servers.rows(),
        (*notes(base.state, entry), *desk.notes),
        desk.complaints,
    )
    return World(objects, vault, reconciler, inbox, queue, desk, board, images, entry)


def build_parts(
    state: State,
    images: Images,
    entry: Entry,
    session: aiohttp.ClientSession,
    changed: Callable[[Key], None],
) -> Parts:
    """What the runtime is made of."""
    place = Place(state.logs, entry.ports, session)
    return Parts(
        place=place,
        images=images,
        secrets=SecretFiles(state.secrets),
        migrations=Migrations(state.file("migrations"), place, changed),
        entry=entry,
        environ=inherited_environment(os.environ),
        changed=changed,
    )


def build_queue(inbox: Inbox) -> Queue:
    """A queue for few objects that are looked at often."""
    return Queue(
        inbox.run_pass,
        concurrency=CONCURRENCY,
        resync_seconds=RESYNC_SECONDS,
        due_in=inbox.due_in,
    )


def build_place(servers: Servers, entry: Entry) -> Callable[[DevFile], Local]:
    """What addresses become, with the servers as they listen now."""
    return lambda read: Local.of(read.addresses, servers.addresses(), entry.port)


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


class NoSecrets:
    """What a Kafka that is not ours would need of a cluster's Secrets is not here."""

    async def contents(self, namespace: str, name: str) -> Mapping[str, str]:
        """Nothing."""
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
