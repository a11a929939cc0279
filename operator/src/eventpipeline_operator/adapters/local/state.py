"""The directory in which everything of one object file lives between runs, one run at a time."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class StateInUse(Exception):
    """Another run holds the directory."""


@dataclass(frozen=True)
class State:
    """Where what lies."""

    root: Path

    @classmethod
    def default(cls, objects: Path, environ: Mapping[str, str]) -> "State":
        """A directory of its own for each object file."""
        base = Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        digest = hashlib.sha256(os.fsencode(objects.resolve())).hexdigest()[:8]
        return cls(base / "eventpipeline" / f"{objects.stem}-{digest}")

    @property
    def logs(self) -> Path:
        """A log for each process."""
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        """Delivered secrets."""
        return self.root / "secrets"

    @property
    def servers(self) -> Path:
        """What Kafka, Postgres and the mail catcher hold."""
        return self.root / "servers"

    def file(self, name: str) -> Path:
        """A file of ours."""
        return self.root / f"{name}.json"

    @contextmanager
    def held(self, *, fresh: bool) -> Iterator[None]:
        """Hold the directory against other runs; StateInUse when one has it."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self.root / "lock"
        with lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise StateInUse(f"another run holds {self.root}: end it first") from error
            if fresh:
                self._empty(lock)
            yield

    def _empty(self, lock: Path) -> None:
        for path in self.root.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != lock:
                path.unlink()
