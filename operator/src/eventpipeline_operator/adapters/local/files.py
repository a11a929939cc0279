"""What the operator keeps in Secrets and ConfigMaps of a cluster, in files readable by us alone."""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eventpipeline_operator.reconcile.ports import Legacy, Merge

PRIVATE = 0o600
KEY_BYTES = 32


def write_private(path: Path, text: str) -> None:
    """Write a file that nobody else can read; it is replaced whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """A file's mapping; empty where there is none."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return found


def load_signing_key(path: Path) -> bytes:
    """The key that names delivered secrets; made once, so that a restart finds the same names."""
    if not path.exists():
        write_private(path, secrets.token_hex(KEY_BYTES))
    return bytes.fromhex(path.read_text())


class FileSafe:
    """The Safe port: one file of all records."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records = read_json(path)

    async def load(self, key: str) -> dict[str, Any] | None:
        """One record."""
        found: dict[str, Any] | None = self._records.get(key)
        return found

    async def keys(self, prefix: str) -> list[str]:
        """Keys of all records with a prefix."""
        return [key for key in self._records if key.startswith(prefix)]

    async def store(self, key: str, record: Mapping[str, Any] | None) -> None:
        """Write one record, or remove it."""
        if self._records.get(key) == record:
            return
        if record is None:
            del self._records[key]
        else:
            self._records[key] = dict(record)
        write_private(self._path, json.dumps(self._records))


class FileArchive:
    """The Archive port: one file of all journals."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> dict[str, dict[str, Any]]:
        """All journals by key."""
        return read_json(self._path)

    async def update(self, changes: Mapping[str, Merge]) -> set[str]:
        """Join journals with what is new."""
        journals = read_json(self._path)
        for key, merge in changes.items():
            record = merge(journals.get(key))
            if record is None:
                journals.pop(key, None)
            else:
                journals[key] = record
        write_private(self._path, json.dumps(journals, ensure_ascii=False, indent=1))
        return set(changes)


class FileLegacies:
    """The Legacies port: one file that names what objects have left in Kafka."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def record(self, legacies: Sequence[Legacy]) -> None:
        """Write them down."""
        known = read_json(self._path)
        for legacy in legacies:
            topics = [left.topic for left in legacy.topics]
            known[legacy.uid] = {"object": str(legacy.key), "at": legacy.at, "topics": topics}
        write_private(self._path, json.dumps(known, indent=1))
