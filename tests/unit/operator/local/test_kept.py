"""What is kept in files between runs, and who may read it."""

import stat
from pathlib import Path
from typing import Any

import pytest

from eventpipeline_operator.adapters.local.files import (
    FileArchive,
    FileSafe,
    load_signing_key,
)
from eventpipeline_operator.adapters.local.objects import ObjectFileError, Objects, read_objects
from eventpipeline_operator.adapters.local.secrets import SecretFiles
from eventpipeline_operator.adapters.local.state import State, StateInUse
from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.desired.records import SecretRecord, SecretReference

KEY = Key("team", "shop")
SECRET = SecretRecord("db", "abc", "source", "3", {"PASSWORD": "s3cret"}, {})
WANTED = SecretReference("db", "", "", ("PASSWORD",))


def test_an_object_is_the_same_in_the_next_run(tmp_path: Path, body: dict[str, Any]) -> None:
    first = Objects(tmp_path / "objects").admit(body)["metadata"]
    assert first["generation"] == 1
    again = Objects(tmp_path / "objects").admit(body)["metadata"]
    assert again == first
    changed = {**body, "spec": {**body["spec"], "suspend": True}}
    later = Objects(tmp_path / "objects").admit(changed)["metadata"]
    assert (later["uid"], later["generation"]) == (first["uid"], 2)


async def test_a_status_is_kept_but_not_what_it_says_of_processes(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    objects = Objects(tmp_path / "objects")
    pipeline = parse(objects.admit(body))
    await objects.write_status(pipeline, {"topics": {"desired": 1}, "conditions": [{"type": "x"}]})
    assert Objects(tmp_path / "objects").admit(body)["status"] == {"topics": {"desired": 1}}


async def test_the_status_of_a_predecessor_is_not_taken(
    tmp_path: Path, body: dict[str, Any], pipeline: EventPipeline
) -> None:
    objects = Objects(tmp_path / "objects")
    objects.admit(body)
    await objects.write_status(pipeline, {"topics": {}})
    assert objects.status(KEY) == {}


async def test_an_object_under_delete_is_held_until_it_is_released(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    objects = Objects(tmp_path / "objects")
    pipeline = parse(objects.admit(body))
    await objects.keep(pipeline, present=True)
    assert objects.is_held(KEY)
    assert parse(objects.depart(KEY)).deleting
    await objects.keep(pipeline, present=False)
    assert not objects.is_held(KEY)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "objects.yaml:2: "),
        ("kind: Namespace", "there is no EventPipeline in it"),
        ("kind: EventPipeline\nmetadata: {}\nspec: {}", "needs metadata.name and spec"),
    ],
)
def test_a_file_that_is_no_object_is_told(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "objects.yaml"
    path.write_text(f"{text}\n")
    with pytest.raises(ObjectFileError, match=words):
        read_objects(path)


def test_a_delivered_secret_is_known_in_the_next_run(
    tmp_path: Path, pipeline: EventPipeline
) -> None:
    files = SecretFiles(tmp_path)
    assert files.deliver(KEY, SECRET)
    assert not files.deliver(KEY, SECRET)
    again = SecretFiles(tmp_path)
    found = again.latest(pipeline, WANTED, "source")
    assert found == SECRET.reference
    assert again.read(KEY, SECRET.reference).values == {"PASSWORD": "s3cret"}
    assert again.latest(pipeline, WANTED, "another source") is None
    assert again.prune(KEY, ()) == ["shop-db-abc"]
    assert SecretFiles(tmp_path).of(KEY, "db") == []


def test_a_delivery_that_was_broken_off_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "team.shop" / ".shop-db-abc.new").mkdir(parents=True)
    (tmp_path / "team.shop" / ".shop-db-abc.new" / "PASSWORD").touch()
    files = SecretFiles(tmp_path)
    assert files.of(KEY, "db") == []
    assert files.deliver(KEY, SECRET)


async def test_the_safe_keeps_records_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "safe.json"
    await FileSafe(path).store("leases.u", {"a": 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = FileSafe(path)
    assert await again.keys("leases.") == ["leases.u"]
    assert await again.load("leases.u") == {"a": 1}
    await again.store("leases.u", None)
    assert await FileSafe(path).load("leases.u") is None


async def test_the_archive_joins(tmp_path: Path) -> None:
    archive = FileArchive(tmp_path / "journal.json")
    await archive.update({"a": lambda _: {"n": 1}, "b": lambda _: {"n": 1}})
    await archive.update({"a": lambda before: {**(before or {}), "m": 2}, "b": lambda _: None})
    assert await archive.load() == {"a": {"n": 1, "m": 2}}


def test_the_key_of_names_stays(tmp_path: Path) -> None:
    key = load_signing_key(tmp_path / "key")
    assert len(key) == 32
    assert load_signing_key(tmp_path / "key") == key


def test_a_state_is_for_one_run_at_a_time_and_may_begin_anew(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    with state.held(fresh=False):
        (state.root / "servers").mkdir()
        (state.root / "safe.json").touch()
        with pytest.raises(StateInUse, match="end it first"), State(state.root).held(fresh=True):
            pass
    with state.held(fresh=True):
        assert [path.name for path in state.root.iterdir()] == ["lock"]


def test_each_object_file_has_a_state_of_its_own(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    one, two = (State.default(tmp_path / d / "shop.yaml", environ) for d in "ab")
    assert one.root != two.root
    assert one.root.parent == tmp_path / "eventpipeline"
