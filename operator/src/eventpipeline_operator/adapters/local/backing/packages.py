"""Where the programs of the backing servers are: on this machine, or made once from packages.

Looked for in this order: a directory that the person names, what is installed, what hack/artifact
of the checkout makes from package registries, without root, in the cache that all scripts share.
"""

import asyncio
import os
import re
import shutil
import stat
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from eventpipeline_operator.adapters.local.backing.errors import BackingError

JAVA = 17
Say = Callable[[str], None]


@dataclass(frozen=True)
class KafkaPrograms:
    """What a broker needs."""

    java: Path
    jars: Path


class Packages:
    """Finds programs, and has made what is not there; `say` is told how that goes on."""

    def __init__(
        self,
        env: Mapping[str, str],
        checkout: Path | None = None,
        say: Say = lambda _: None,
        installed: Path = Path("/usr/lib/postgresql"),
    ) -> None:
        self._env = env
        self._checkout = checkout or find_checkout()
        self._say = say
        self._installed = installed

    async def postgres(self) -> Path:
        """The directory with PostgreSQL's programs."""
        found = self._given("EVENTPIPELINE_POSTGRES", "initdb") or self._installed_postgres()
        if found:
            return found
        made = await self._make("postgres", "PostgreSQL", "postgresql", "EVENTPIPELINE_POSTGRES")
        return (made / "bin").resolve()

    async def kafka(self) -> KafkaPrograms:
        """Java and Kafka's jars."""
        java = await self._java()
        home = self._given("EVENTPIPELINE_KAFKA", "libs") or await self._made_kafka()
        return KafkaPrograms(java, home / "libs")

    async def vault(self, *, build: bool) -> Path | None:
        """The directory with Vault and its plugins; None where it is not there, nor to be built."""
        given = self._given("EVENTPIPELINE_VAULT", "vault")
        if given or not build:
            return given or await self._built("vault")
        return await self._make("vault", "Vault", "golang-go", "EVENTPIPELINE_VAULT")

    def _installed_postgres(self) -> Path | None:
        on_path = shutil.which("postgres", path=self._path)
        candidates = newest_first(self._installed.glob("*/bin"))
        candidates += [Path(on_path).resolve().parent] if on_path else []
        for directory in candidates:
            if (directory / "initdb").exists() and (directory / "postgres").exists():
                return directory
        return None

    async def _made_kafka(self) -> Path:
        """The same jars either way; Maven, where it is, may have its own mirrors and proxies."""
        if shutil.which("mvn", path=self._path):
            return await self._make("kafka", "Kafka", "maven", "EVENTPIPELINE_KAFKA")
        built = await self._built("kafka")
        return built or await self._make("kafka-jars", "Kafka", "maven", "EVENTPIPELINE_KAFKA")

    async def _java(self) -> Path:
        homes = [self._env.get("JAVA_HOME")]
        candidates = [Path(home) / "bin" / "java" for home in homes if home]
        on_path = shutil.which("java", path=self._path)
        candidates += [Path(on_path)] if on_path else []
        for java in candidates:
            if await java_version(java) >= JAVA:
                return java
        package = f"openjdk-{JAVA}-jre-headless"
        return await self._make("jre", f"Java {JAVA}", package, "JAVA_HOME") / "bin" / "java"

    @property
    def _path(self) -> str:
        return self._env.get("PATH", os.defpath)

    def _given(self, variable: str, content: str) -> Path | None:
        """What a person has named; a mistake in it is not passed over."""
        if variable not in self._env:
            return None
        directory = Path(self._env[variable]).expanduser()
        if not (directory / content).exists():
            raise BackingError(f"{variable} is {directory}, but there is no {content} in it")
        return directory

    async def _built(self, name: str) -> Path | None:
        if self._checkout is None:
            return None
        code, made, _ = await self._artifact("--if-built", name)
        return Path(made) if code == 0 else None

    async def _make(self, name: str, title: str, package: str, variable: str) -> Path:
        ways = f"install {package} (its name in Debian) or name a directory in {variable}"
        if self._checkout is None:
            raise BackingError(f"{title} is not on this machine: {ways}")
        code, made, last = await self._artifact(name)
        if code != 0:
            raise BackingError(f"{title} is not on this machine and cannot be made: {last}; {ways}")
        return Path(made)

    async def _artifact(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, result and last words of hack/artifact; what is not built yet is no news."""
        say = (lambda _: None) if "--if-built" in arguments else self._say
        assert self._checkout  # noqa: S101 — asked by the callers
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            self._checkout / "hack" / "artifact",
            *arguments,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env={**self._env, **(passable_cache(self._env) if "postgres" in arguments else {})},
        )
        assert process.stdout  # noqa: S101
        assert process.stderr  # noqa: S101
        last = ""
        try:
            async for line in process.stderr:
                last = line.decode(errors="replace").strip() or last
                say(last)
            made = (await process.stdout.read()).decode().strip()
            return await process.wait(), made, last
        except asyncio.CancelledError:
            process.terminate()  # it keeps what is whole and goes on from there next time
            await process.wait()
            raise


def find_checkout(start: Path = Path(__file__)) -> Path | None:
    """The repository that this module lies in, or the one that we are called in."""
    for folder in (*start.resolve().parents, Path.cwd(), *Path.cwd().parents):
        if (folder / "hack" / "artifact").exists():
            return folder
    return None


def newest_first(directories: Iterable[Path]) -> list[Path]:
    """Debian's /usr/lib/postgresql/VERSION/bin by version."""

    def version(directory: Path) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", directory.parent.name)]

    return sorted(directories, key=version, reverse=True)


async def java_version(java: Path) -> int:
    """Its feature version: `openjdk version "17.0.15"` is 17; 0 where there is none."""
    try:
        process = await asyncio.create_subprocess_exec(
            java, "-version", stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
    except OSError:
        return 0
    _, said = await process.communicate()
    found = re.search(rb'version "(\d+)', said)
    return int(found.group(1)) if found else 0


def passable_cache(env: Mapping[str, str]) -> dict[str, str]:
    """Root's programs are run by another user here, who may not look into root's home."""
    if os.geteuid() != 0 or "EVENTPIPELINE_CACHE" in env:
        return {}
    if Path.home().stat().st_mode & stat.S_IXOTH:
        return {}
    return {"EVENTPIPELINE_CACHE": "/var/cache/eventpipeline"}
