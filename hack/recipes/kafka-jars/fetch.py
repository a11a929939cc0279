"""fetch.py JARS CACHE TARGET: each jar that JARS names, from the repositories of Java packages."""

import hashlib
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.maven import MavenContext

AT_ONCE = 8


def fetch(context: MavenContext, line: str, target: Path) -> str:
    """Fetches one jar; what differs from its checksum is not taken."""
    coordinates, checksum = line.split()
    group, artifact, version = coordinates.split(":")
    jar = context.project(group, artifact).at_version(version).artifact().resolve()
    if hashlib.sha256(jar.read_bytes()).hexdigest() != checksum:
        sys.exit(f"{coordinates} is not what it was when it was pinned")
    shutil.copy(jar, target / jar.name)
    return jar.name


def main() -> None:
    """Fetches several at a time, and tells of each."""
    jars, cache, target = map(Path, sys.argv[1:])
    context = MavenContext(repo_cache=cache)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lines = jars.read_text().splitlines()
        for name in pool.map(lambda line: fetch(context, line, target), lines):
            print(name, flush=True)


if __name__ == "__main__":
    main()
