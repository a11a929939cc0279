"""The file with the objects, as an API server would hold it: identity, generation, status.

What makes an object the same over restarts (its uid, when it was created, how often it changed,
what its status says) lies in a file of the state directory.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from eventpipeline_operator.adapters.local.files import read_json, write_private
from eventpipeline_operator.api import names
from eventpipeline_operator.api.conditions import Condition
from eventpipeline_operator.api.types import EventPipeline, Key

Json = dict[str, Any]
Body = Mapping[str, Any]

EVENTS = 50


class ObjectFileError(ValueError):
    """A file that cannot be read as objects; the message says where."""


def read_objects(path: Path) -> list[Body]:
    """Every EventPipeline of a file; other objects are of no concern here."""
    try:
        documents = list(yaml.safe_load_all(path.read_text()))
    except OSError as error:
        raise ObjectFileError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        words = getattr(error, "problem", None) or str(error)
        raise ObjectFileError(f"{path}{line}: {words}") from error
    found = [d for d in documents if isinstance(d, Mapping) and d.get("kind") == names.KIND]
    for body in found:
        if not isinstance(body.get("spec"), Mapping) or not (body.get("metadata") or {}).get(
            "name"
        ):
            raise ObjectFileError(f"{path}: an {names.KIND} needs metadata.name and spec")
    if not found:
        raise ObjectFileError(f"{path}: there is no {names.KIND} in it")
    return found


def key_of(body: Body) -> Key:
    """Namespace and name; what names no namespace lives in `default`."""
    meta = body["metadata"]
    return Key(meta.get("namespace") or "default", meta["name"])


class Objects:
    """Objects with their identity; the StatusWriter and the Finalizers port."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: Json = {key: _at_rest(kept) for key, kept in read_json(path).items()}
        self.events: list[tuple[Key, Condition]] = []

    def admit(self, body: Body) -> Body:
        """The body as a watch would deliver it; a spec that differs is a new generation."""
        key = key_of(body)
        kept = self._kept.get(str(key)) or {
            "uid": str(uuid.uuid4()),
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "generation": 0,
            "status": {},
        }
        if kept.get("spec") != body["spec"]:
            kept = {**kept, "spec": body["spec"], "generation": kept["generation"] + 1}
            self._keep(key, kept)
        meta = {
            "namespace": key.namespace,
            "name": key.name,
            "annotations": body["metadata"].get("annotations") or {},
            "uid": kept["uid"],
            "creationTimestamp": kept["created"],
            "generation": kept["generation"],
            "resourceVersion": str(kept["generation"]),
            "finalizers": kept.get("finalizers") or [],
        }
        return {**body, "metadata": meta, "status": kept["status"]}

    def depart(self, key: Key) -> Body:
        """The body of an object that left the file, as one that is being deleted."""
        body = self.admit({"metadata": {"namespace": key.namespace, "name": key.name},
                           "spec": self._kept[str(key)]["spec"]})  # fmt: skip
        gone_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {**body, "metadata": {**body["metadata"], "deletionTimestamp": gone_at}}

    def known(self) -> Sequence[Key]:
        """Every object that was there."""
        return [Key(*text.split("/", 1)) for text in self._kept]

    def uid(self, key: Key) -> str | None:
        """Which object has a name now."""
        uid: str | None = (self._kept.get(str(key)) or {}).get("uid")
        return uid

    def status(self, key: Key) -> Body:
        """The last status of an object."""
        found: Body = (self._kept.get(str(key)) or {}).get("status") or {}
        return found

    def forget(self, key: Key) -> None:
        """The object left the file."""
        self._kept.pop(str(key), None)
        self._store()

    async def write_status(self, pipeline: EventPipeline, status: Mapping[str, Any]) -> None:
        """Replace the status; an object that is gone needs none."""
        kept = self._kept.get(str(pipeline.key))
        if kept and kept["uid"] == pipeline.uid:
            self._keep(pipeline.key, {**kept, "status": dict(status)})

    async def emit_event(self, pipeline: EventPipeline, condition: Condition) -> None:
        """Tell of a changed condition."""
        self.events = [*self.events[1 - EVENTS :], (pipeline.key, condition)]

    async def keep(self, pipeline: EventPipeline, *, present: bool) -> None:
        """Add or remove our finalizer; an object that is gone needs none."""
        kept = self._kept.get(str(pipeline.key))
        finalizers = [names.FINALIZER] if present else []
        if kept and (kept.get("finalizers") or []) != finalizers:
            self._keep(pipeline.key, {**kept, "finalizers": finalizers})

    def is_held(self, key: Key) -> bool:
        """Whether our finalizer keeps an object from going."""
        return bool((self._kept.get(str(key)) or {}).get("finalizers"))

    def _keep(self, key: Key, kept: Json) -> None:
        self._kept[str(key)] = kept
        self._store()

    def _store(self) -> None:
        write_private(self._path, json.dumps(self._kept, indent=1, ensure_ascii=False))


def _at_rest(kept: Json) -> Json:
    """What was true of running processes is not, now that none runs."""
    status = {k: v for k, v in kept["status"].items() if k != "conditions"}
    return {**kept, "status": status}
