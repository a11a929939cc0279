"""The files that a person edits → deliveries, as a watch on a cluster would make them."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
import yaml

from eventpipeline_operator.adapters.local.addresses import Local, find_strangers, localise
from eventpipeline_operator.adapters.local.devfile import (
    DevFile,
    DevFileError,
    Stand,
    parse_devfile,
)
from eventpipeline_operator.adapters.local.images import Images
from eventpipeline_operator.adapters.local.objects import (
    Body,
    ObjectFileError,
    Objects,
    key_of,
    read_objects,
)
from eventpipeline_operator.adapters.local.runtime import LocalRuntime
from eventpipeline_operator.api.parsing import is_asked_for, parse
from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.errors import Stalled

log = structlog.get_logger()

HELD_SECONDS = 0.2
Deliver = Callable[[str, Body], None]


@dataclass(frozen=True)
class Files:
    """What a person edits."""

    objects: Path
    dev: Path

    def read_dev(self) -> DevFile:
        """What stands for what."""
        try:
            raw = yaml.safe_load(self.dev.read_text())
            return parse_devfile(raw, self.dev.parent)
        except (OSError, yaml.YAMLError, DevFileError) as error:
            raise DevFileError(f"{self.dev}: {error}") from error


class Desk:
    """Delivers what the files hold now, and sees off objects that have left them."""

    def __init__(
        self,
        files: Files,
        images: Images,
        objects: Objects,
        runtime: LocalRuntime,
        place: Callable[[DevFile], Local],
    ) -> None:
        self._files = files
        self._images = images
        self._objects = objects
        self._runtime = runtime
        self._place = place
        self._departures: set[asyncio.Task[None]] = set()
        self.pipelines: tuple[EventPipeline, ...] = ()
        self.complaints: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()

    def deliver(self, deliver: Deliver) -> Sequence[Key]:
        """Read and deliver; files that cannot be read change nothing but the complaints."""
        try:
            devfile, bodies = self._files.read_dev(), read_objects(self._files.objects)
        except (DevFileError, ObjectFileError) as error:
            self.complaints = (str(error),)
            return ()
        self._images.replace(devfile)
        local = self._place(devfile)
        admitted = [self._objects.admit(localise(body, local)) for body in bodies]
        self.complaints = _complaints(self._files.dev, admitted, devfile)
        self.notes = tuple(_left_out(bodies))
        self.pipelines = tuple(found for body in admitted if (found := _parsed(body)))
        for body in admitted:
            deliver("MODIFIED", body)
        keys = [key_of(body) for body in admitted]
        for key in set(self._objects.known()) - set(keys):
            task = asyncio.create_task(self._see_off(key, deliver))
            self._departures.add(task)
            task.add_done_callback(self._departures.discard)
        return keys

    async def _see_off(self, key: Key, deliver: Deliver) -> None:
        """As a cluster would: it is marked, its processes end, it is held no more, it is gone."""
        body = self._objects.depart(key)
        deliver("MODIFIED", body)
        await self._runtime.remove(key)
        while self._objects.is_held(key):  # noqa: ASYNC110 - a file has nobody to tell
            await asyncio.sleep(HELD_SECONDS)
        deliver("DELETED", body)
        self._runtime.forget(key)
        self._objects.forget(key)
        log.info("object gone", pipeline=str(key))


def _complaints(path: Path, bodies: Sequence[Body], devfile: DevFile) -> tuple[str, ...]:
    """Addresses that only a cluster would know."""
    known = {a.host for a, stand in devfile.addresses.items() if stand is Stand.VAULT}
    return tuple(
        f"{key_of(body)}: nothing stands for {address} here: name it under addresses in {path}"
        for body in bodies
        for address in find_strangers(body, known)
    )


def _left_out(bodies: Sequence[Body]) -> Iterator[str]:
    """What only a cluster's Kafka does."""
    for body in bodies:
        if is_asked_for((body["spec"].get("kafka") or {}).get("users")):
            yield f"{key_of(body)}: no Kafka users here, every process may read and write all"


def _parsed(body: Body) -> EventPipeline | None:
    """For the screen; what is wrong with it is told by its conditions."""
    try:
        return parse(body)
    except Stalled:
        return None
