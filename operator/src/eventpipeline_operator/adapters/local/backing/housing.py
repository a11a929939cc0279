"""A data directory for a server that root runs as another user.

That user may not be able to get to where root keeps things (a closed home). The data then lies
where it can, and a link stands in its place; without the link, what lies there is of a state that
somebody has removed, and goes too.
"""

import hashlib
import os
import shutil
import stat
from pathlib import Path

ELSEWHERE = Path("/var/lib/eventpipeline")


def house(directory: Path, user: str, elsewhere: Path = ELSEWHERE) -> Path:
    """The directory, or what stands for it, such that the user may write in it."""
    if not user:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    home = directory if is_passable(directory.parent) else _linked(directory, elsewhere)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.chown(home, user)
    return home


def is_passable(directory: Path) -> bool:
    """Whether everybody may go through it and what is above it."""
    folders = (directory.resolve(), *directory.resolve().parents)
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in folders)


def _linked(directory: Path, elsewhere: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(directory.absolute())).hexdigest()[:12]
    target = elsewhere / f"{directory.name}-{digest}"
    if not directory.is_symlink():
        shutil.rmtree(target, ignore_errors=True)
        directory.symlink_to(target)
    return target
