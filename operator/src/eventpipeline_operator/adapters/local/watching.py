"""Notices that files were written, by looking at them: nothing needs to be installed for that."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

LOOK_SECONDS = 0.5
State = dict[Path, tuple[int, int]]


def observe(paths: Iterable[Path]) -> State:
    """What tells one writing of a file from the next; a file that is not there has no state."""
    return {p: (s.st_mtime_ns, s.st_size) for p in paths if p.exists() and (s := p.stat())}


async def follow(paths: Iterable[Path], changed: Callable[[], None]) -> None:
    """Tell whenever one of the files was written, until cancelled."""
    watched = list(paths)
    seen = observe(watched)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = observe(watched)
        if now != seen:
            seen = now
            changed()
