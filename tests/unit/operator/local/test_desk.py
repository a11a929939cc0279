"""What saving the files delivers, with a runtime that only listens."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from eventpipeline_operator.adapters.local.addresses import Local
from eventpipeline_operator.adapters.local.delivery import Desk, Files
from eventpipeline_operator.adapters.local.devfile import DevFile, Stand
from eventpipeline_operator.adapters.local.images import Images
from eventpipeline_operator.adapters.local.objects import Objects, key_of
from eventpipeline_operator.adapters.local.runtime import LocalRuntime
from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.types import Key

KEY = Key("team", "shop")


class Listening:
    """Takes note of what ends."""

    def __init__(self) -> None:
        self.removed: dict[Key, asyncio.Event] = defaultdict(asyncio.Event)
        self.forgotten: dict[Key, asyncio.Event] = defaultdict(asyncio.Event)

    async def remove(self, key: Key) -> None:
        self.removed[key].set()

    def forget(self, key: Key) -> None:
        self.forgotten[key].set()


class Office:
    """A desk with its files, and what it has delivered."""

    def __init__(self, directory: Path) -> None:
        self.files = Files(directory / "shop.yaml", directory / "dev.yaml")
        self.files.dev.write_text("images: {order: {command: [run]}, stock: {command: [run]}}\n")
        self.images = Images(DevFile())
        self.objects = Objects(directory / "objects.json")
        self.runtime = Listening()
        self.desk = Desk(
            self.files,
            self.images,
            self.objects,
            cast(LocalRuntime, self.runtime),
            lambda read: Local.of(read.addresses, {}, 8088),
        )
        self.delivered: list[tuple[str, Mapping[str, Any]]] = []

    def save(self, *bodies: Mapping[str, Any]) -> list[Key]:
        kind = {"kind": "EventPipeline"}
        self.files.objects.write_text(yaml.safe_dump_all([{**kind, **body} for body in bodies]))
        return self.deliver()

    def deliver(self) -> list[Key]:
        return list(self.desk.deliver(lambda kind, body: self.delivered.append((kind, body))))

    def told(self) -> list[tuple[str, Key, bool]]:
        """Kind, object, and whether it is being deleted."""
        return [(kind, key_of(body), parse(body).deleting) for kind, body in self.delivered]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


async def test_kafka_users_are_left_out_and_that_is_told(
    office: Office, body: dict[str, Any]
) -> None:
    body["spec"]["kafka"]["users"] = {}
    office.save(body)
    (_, delivered), *_ = office.delivered
    assert not parse(delivered).kafka_users
    assert office.desk.notes == (
        "team/shop: no Kafka users here, every process may read and write all",
    )


async def test_a_saved_object_is_delivered_with_this_machines_addresses(
    office: Office, body: dict[str, Any]
) -> None:
    assert office.save(body) == [KEY]
    assert office.told() == [("MODIFIED", KEY, False)]
    assert office.desk.complaints == ()
    assert office.images.find("order:1")


async def test_a_file_that_cannot_be_read_changes_nothing(
    office: Office, body: dict[str, Any]
) -> None:
    office.save(body)
    office.files.objects.write_text("kind: [")
    assert office.deliver() == []
    assert len(office.delivered) == 1
    assert "shop.yaml:" in office.desk.complaints[0]
    office.files.dev.write_text("imagse: {}")
    office.deliver()
    assert "dev.yaml: imagse: unknown" in office.desk.complaints[0]


async def test_an_address_that_nothing_stands_for_is_told(
    office: Office, body: dict[str, Any]
) -> None:
    body["spec"]["config"] = {"CACHE": "redis.platform.svc:6379", "V": "vault.platform.svc:8200"}
    office.files.dev.write_text(f"addresses: {{'vault.platform.svc:8200': {Stand.VAULT}}}")
    office.save(body)
    (complaint,) = office.desk.complaints
    assert "nothing stands for redis.platform.svc:6379" in complaint


async def test_an_object_that_left_the_file_ends_before_it_is_gone(
    office: Office, body: dict[str, Any]
) -> None:
    other = {**body, "metadata": {**body["metadata"], "name": "other"}}
    office.save(body, other)
    office.delivered.clear()
    office.save(other)
    await asyncio.wait_for(office.runtime.forgotten[KEY].wait(), 5)
    assert office.told() == [
        ("MODIFIED", Key("team", "other"), False),
        ("MODIFIED", KEY, True),
        ("DELETED", KEY, True),
    ]
    assert office.runtime.removed[KEY].is_set()
    assert office.objects.uid(KEY) is None


async def test_an_object_that_is_held_stays_until_it_is_released(
    office: Office, body: dict[str, Any]
) -> None:
    other = {**body, "metadata": {**body["metadata"], "name": "other"}}
    office.save(body, other)
    held = parse(office.delivered[0][1])
    await office.objects.keep(held, present=True)
    office.save(other)
    await asyncio.wait_for(office.runtime.removed[KEY].wait(), 5)
    assert not office.runtime.forgotten[KEY].is_set()
    await office.objects.keep(held, present=False)
    await asyncio.wait_for(office.runtime.forgotten[KEY].wait(), 5)
    assert office.told()[-1] == ("DELETED", KEY, True)
