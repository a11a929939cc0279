"""Where built things lie: `<cache>/<name>/<hash of the recipe>/`, complete or not there at all."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build"


def cache_root() -> Path:
    """EVENTPIPELINE_CACHE, or `eventpipeline` in the user's cache directory."""
    if given := os.environ.get("EVENTPIPELINE_CACHE"):
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "eventpipeline"


def hash_files(paths: Iterable[Path], *, salt: str = "", base: Path = REPOSITORY) -> str:
    """One short hash over names, modes and contents of files and of whole directories."""
    digest = hashlib.sha256(salt.encode())
    for path in sorted(_files_under(paths)):
        name = path.relative_to(base).as_posix()
        executable = os.access(path, os.X_OK)
        digest.update(f"\0{name}\0{executable}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _files_under(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (
                found
                for found in path.rglob("*")
                if found.is_file() and "__pycache__" not in found.parts
            )
        else:
            yield path


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Only one run at a time works on `name`, whichever process it is in."""
    locks = cache_root() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / name.replace("/", "_")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build_once(name: str, recipe_hash: str, build: Callable[[Path], None]) -> tuple[Path, bool]:
    """The directory of an artifact, and whether it had to be built.

    `build` fills a directory that gets its final name only when it is complete, so that an
    interrupted build leaves nothing behind that could be taken for a result.
    """
    home = cache_root() / name
    target = home / recipe_hash
    if target.exists():
        return target, False
    with locked(name):
        if target.exists():
            return target, False
        home.mkdir(parents=True, exist_ok=True)
        for leftover in home.glob("unfinished-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=home))
        unfinished.chmod(0o755)
        build(unfinished)
        unfinished.rename(target)
    return target, True


def log_file(name: str) -> Path:
    """Where the output of a build goes."""
    return cache_root() / "logs" / f"{name.replace('/', '_')}.log"
