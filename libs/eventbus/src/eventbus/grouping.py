"""Many threads' calls as few: group commit for an API whose threads each want one statement.

Who finds nobody at work carries what waits, and hands the turn to the first of those who came
meanwhile. Nobody waits for company: alone, a call costs what it costs; in a crowd, a statement and
its commit are shared by all who would have queued for the next.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Call(Generic[Item, Result]):
    """One thread's wish; its lock is free when there is a result, or when it is its turn."""

    __slots__ = ("error", "item", "results", "turn")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.results: list[Result] = []  # one, when there is one
        self.error: Exception | None = None
        self.turn = threading.Lock()
        self.turn.acquire()

    @property
    def is_over(self) -> bool:
        return bool(self.results) or self.error is not None

    def answer(self) -> Result:
        if self.error is not None:
            raise self.error
        return self.results[0]


class Grouped(Generic[Item, Result]):
    """A function of one item, made of one for many; at most one call of it is on its way."""

    def __init__(
        self,
        carry: Callable[[Sequence[Item]], Sequence[Result]],
        is_items_fault: Callable[[Exception], bool],
        limit: int = 100,
    ) -> None:
        self._carry = carry
        self._is_items_fault = is_items_fault
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: list[_Call[Item, Result]] = []
        self._is_busy = False

    def __call__(self, item: Item) -> Result:
        """The item's own result, or its own error."""
        call: _Call[Item, Result] = _Call(item)
        with self._lock:
            self._waiting.append(call)
            waits, self._is_busy = self._is_busy, True
        if waits:
            call.turn.acquire()
        if not call.is_over:
            self._lead()
        return call.answer()

    def _lead(self) -> None:
        with self._lock:
            group = self._waiting[: self._limit]
            del self._waiting[: self._limit]
        try:
            self._settle(group)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._is_busy = following is not None
            for call in group[1:]:  # the first is the leader's own
                call.turn.release()
            if following is not None:
                following.turn.release()

    def _settle(self, group: Sequence[_Call[Item, Result]]) -> None:
        try:
            results = self._carry([call.item for call in group])
            for call, result in zip(group, results, strict=True):
                call.results.append(result)
        except Exception as error:  # noqa: BLE001  # each caller's own: raised again there
            if len(group) > 1 and self._is_items_fault(error):
                for call in group:  # so that no other pays for it
                    self._settle([call])
            else:
                for call in group:
                    call.error = error
