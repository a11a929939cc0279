"""Delivered secrets as files: a directory each, readable by their owner alone, never changed.

A directory is named as a cluster's Secret would be, with a keyed hash of its content, and is moved
into its place whole. What has been written is known again after a restart.
"""

import json
import shutil
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from eventpipeline_operator.adapters.local.files import write_private
from eventpipeline_operator.adapters.local.launch import Delivered, secret_name
from eventpipeline_operator.api.types import EventPipeline, Key
from eventpipeline_operator.desired.parting import delivered_names
from eventpipeline_operator.desired.records import SecretRecord, SecretReference

NOTE = ".delivered.json"


@dataclass(frozen=True)
class Note:
    """What is remembered of a delivery, without its values."""

    name: str
    entry: str
    source: str
    version: str
    written_at: float


class SecretFiles:
    """Deliveries of all pipelines below one directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._notes: dict[Key, dict[str, Note]] = {}

    def deliver(self, key: Key, record: SecretRecord) -> bool:
        """Write a secret; whether it was not there before."""
        name = secret_name(key, record.reference)
        if name in self._known(key):
            return False
        note = Note(name, record.entry, record.source, record.version, time.time())
        final = self._directory(key) / name
        draft = final.with_name(f".{name}.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        for file, value in {**record.env, **record.files}.items():
            write_private(draft / file, value)
        write_private(draft / NOTE, json.dumps(vars(note)))
        shutil.rmtree(final, ignore_errors=True)
        draft.replace(final)
        self._known(key)[name] = note
        return True

    def of(self, key: Key, entry: str) -> list[Note]:
        """All deliveries of an entry."""
        return [note for note in self._known(key).values() if note.entry == entry]

    def holds(self, key: Key, name: str) -> bool:
        """Whether a delivery is there."""
        return name in self._known(key)

    def read(self, key: Key, reference: SecretReference) -> Delivered:
        """A delivery with its values."""
        directory = self._directory(key) / secret_name(key, reference)
        values = {name: (directory / name).read_text() for name in reference.env}
        return Delivered(reference, directory, values)

    def latest(
        self, pipeline: EventPipeline, wanted: SecretReference, source: str
    ) -> SecretReference | None:
        """The delivery of an entry that status names, else the newest, from the same source."""
        found = [note for note in self.of(pipeline.key, wanted.entry) if note.source == source]
        if not found:
            return None
        told = delivered_names(pipeline.status)
        last = max(found, key=lambda note: (note.name in told, note.written_at))
        prefix = secret_name(pipeline.key, replace(wanted, revision=""))
        return replace(wanted, revision=last.name.removeprefix(prefix), version=last.version)

    def prune(self, key: Key, kept: Collection[str]) -> list[str]:
        """Remove all others; their names."""
        gone = [name for name in self._known(key) if name not in kept]
        for name in gone:
            shutil.rmtree(self._directory(key) / name, ignore_errors=True)
            del self._known(key)[name]
        return gone

    def _known(self, key: Key) -> dict[str, Note]:
        if key not in self._notes:
            self._notes[key] = {note.name: note for note in self._stored(key)}
        return self._notes[key]

    def _stored(self, key: Key) -> Iterator[Note]:
        directory = self._directory(key)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in directory.glob(f"*/{NOTE}"):
            if not path.parent.name.startswith("."):
                yield Note(**json.loads(path.read_text()))

    def _directory(self, key: Key) -> Path:
        return self._root / f"{key.namespace}.{key.name}"
