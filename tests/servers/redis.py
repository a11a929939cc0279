"""A Redis of the tests' own: the machine's, or Debian's packages unpacked without root."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from servers.local import answers, free_port, stop_process
from servers.waiting import wait_for

_PACKAGES = (
    "redis-server",
    "redis-tools",
    "libatomic1",
    "libjemalloc2",
    "liblua5.1-0",
    "liblzf1",
    "lua-bitop",
    "lua-cjson",
)


def find_redis(unpacked: Path) -> Path | str:
    """The program, or the sentence that says why there is none."""
    installed = shutil.which("redis-server")
    if installed:
        return Path(installed)
    program = unpacked / "usr/bin/redis-server"
    if not program.exists():
        try:
            _unpack(unpacked)
        except (OSError, subprocess.SubprocessError) as error:
            return f"no redis-server, and Debian's is not to be had: {error}"
    return program


def _unpack(folder: Path) -> None:
    fetched = folder / "packages"
    fetched.mkdir(parents=True, exist_ok=True)
    download = ["apt-get", "download", *_PACKAGES]
    subprocess.run(download, cwd=fetched, check=True, capture_output=True, timeout=120)
    for package in fetched.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, folder], check=True, timeout=60)


@dataclass
class RedisServer:
    """In memory alone; may be stopped and come back empty."""

    program: Path
    directory: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        root = self.program.parents[2]
        libraries = {str(path.parent) for path in root.glob("usr/lib/**/*.so*")}
        beside = {} if root == Path("/") else {"LD_LIBRARY_PATH": os.pathsep.join(libraries)}
        options = {"port": self.port, "bind": "127.0.0.1", "save": "", "dir": self.directory}
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.program, *(part for k, v in options.items() for part in (f"--{k}", str(v)))],
                env={"PATH": os.environ["PATH"], **beside},
                stdout=log,
                stderr=log,
            )
        wait_for("Redis", lambda: answers(self.port), seconds=20)

    def stop(self) -> None:
        stop_process(self._process)
