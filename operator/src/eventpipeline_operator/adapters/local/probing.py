"""Asks a process for its health as the kubelet would: over HTTP, by connecting, by a command."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from eventpipeline_operator.adapters.local.ports import HOST
from eventpipeline_operator.api.types import Probes, ProbeType


@dataclass(frozen=True)
class Probing:
    """The probes of one process: where it listens, and where and as whom a command runs."""

    probes: Probes
    port: int | None
    env: Mapping[str, str]
    directory: Path

    @property
    def asked(self) -> bool:
        """Whether there is anything to ask."""
        if self.probes.type is ProbeType.EXEC:
            return bool(self.probes.command)
        return self.probes.type is not ProbeType.NONE and self.port is not None

    async def live(self, session: aiohttp.ClientSession, seconds: float) -> str | None:
        """Why it should be started anew; None while it is well."""
        return await self._ask(session, self.probes.liveness_path, seconds)

    async def ready(self, session: aiohttp.ClientSession, seconds: float) -> str | None:
        """Why it takes no requests; None when it does."""
        return await self._ask(session, self.probes.readiness_path, seconds)

    async def _ask(self, session: aiohttp.ClientSession, path: str, seconds: float) -> str | None:
        try:
            async with asyncio.timeout(seconds):
                match self.probes.type:
                    case ProbeType.EXEC:
                        return await self._run()
                    case ProbeType.TCP:
                        return await self._connect()
                    case _:
                        return await self._get(session, path)
        except TimeoutError:
            return f"no answer within {seconds:g} s"
        except (aiohttp.ClientError, OSError) as error:
            return str(error) or type(error).__name__

    async def _get(self, session: aiohttp.ClientSession, path: str) -> str | None:
        url = f"http://{HOST}:{self.port}{path}"
        async with session.get(url, allow_redirects=False) as answer:
            return None if answer.status < 400 else f"{path} answers {answer.status}"

    async def _connect(self) -> str | None:
        _, writer = await asyncio.open_connection(HOST, self.port)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return None

    async def _run(self) -> str | None:
        process = await asyncio.create_subprocess_exec(
            *self.probes.command, env=dict(self.env), cwd=self.directory,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
        return None if code == 0 else f"{self.probes.command[0]} ends with exit code {code}"
