"""Ports of an operator that dies: at the nth boundary of a call everything stops, for ever.

A call has a boundary before it (it never began) and one after it (it took effect and nobody was
told). Calls that write several things are taken apart, so that a death also falls between them.
A dead operator's calls neither return nor take effect; whatever still runs of it is cancelled.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from typing import Any

from eventpipeline_operator.reconcile.ports import Ports

WRITES_MANY = ("apply", "create")


class Life:
    """Counts boundaries and ends at one of them; 0 lives on."""

    def __init__(self, dies_at: int = 0) -> None:
        self._dies_at = dies_at
        self.boundaries: list[str] = []
        self.ended = asyncio.Event()

    async def pass_boundary(self, where: str) -> None:
        if not self.ended.is_set():
            self.boundaries.append(where)
            if len(self.boundaries) == self._dies_at:
                self.end()
        if self.ended.is_set():
            await asyncio.Event().wait()

    def end(self) -> None:
        """What death is: from here on nothing returns."""
        self.ended.set()

    async def live(self, work: Callable[[], Awaitable[object]]) -> bool:
        """Run until done or dead; whether it got done."""
        task = asyncio.ensure_future(work())
        death = asyncio.create_task(self.ended.wait())
        await asyncio.wait({task, death}, return_when=asyncio.FIRST_COMPLETED)
        for each in asyncio.all_tasks() - {asyncio.current_task()}:
            each.cancel()
        await asyncio.gather(task, death, return_exceptions=True)
        if self.ended.is_set():
            return False
        task.result()
        return True


class Mortal:
    """A port of such an operator."""

    def __init__(self, port: object, life: Life) -> None:
        self._port = port
        self._life = life

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._port, name)
        if not inspect.iscoroutinefunction(inner):
            return inner

        async def call(*arguments: Any, **named: Any) -> Any:
            if name in WRITES_MANY:
                return await self._one_by_one(name, inner, *arguments)
            await self._life.pass_boundary(f"before {name}")
            try:
                return await inner(*arguments, **named)
            finally:
                await self._life.pass_boundary(f"after {name}")

        return call

    async def _one_by_one(
        self, name: str, inner: Callable[..., Any], where: object, items: Sequence[object]
    ) -> Any:
        answer: dict[str, str] = {}
        for item in items:
            await self._life.pass_boundary(f"before {name}")
            answer.update(await inner(where, [item]) or {})
            await self._life.pass_boundary(f"after {name}")
        return answer


def mortal_ports(ports: Ports, life: Life) -> Ports:
    """All ports, as an operator that may die has them."""
    parts = {port.name: getattr(ports, port.name) for port in fields(Ports)}
    return Ports(**{name: Mortal(part, life) for name, part in parts.items()})
