"""Merges look-ups that arrive within a moment of each other into one call."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

V = TypeVar("V")

LINGER_SECONDS = 0.005


class Batcher(Generic[V]):
    """Collects names for a short time, loads them at once, hands each caller its share."""

    def __init__(self, load: Callable[[Collection[str]], Awaitable[Mapping[str, V]]]) -> None:
        self._load = load
        self._names: dict[str, None] = {}
        self._round: asyncio.Task[Mapping[str, V]] | None = None

    async def get(self, names: Collection[str]) -> dict[str, V]:
        """Look up names; those that the loader does not know are left out."""
        if not names:
            return {}
        self._names.update(dict.fromkeys(names))
        if self._round is None:
            self._round = asyncio.create_task(self._run())
        # A cancelled caller must not cancel the others' call.
        loaded = await asyncio.shield(self._round)
        return {name: loaded[name] for name in names if name in loaded}

    async def _run(self) -> Mapping[str, V]:
        await asyncio.sleep(LINGER_SECONDS)
        names, self._names, self._round = self._names, {}, None
        return await self._load(tuple(names))
