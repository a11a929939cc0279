"""The stock service's cache in memory; may be away."""

from collections.abc import Sequence

from stock_service.caching import CacheAway, Level


class MemoryCache:
    def __init__(self) -> None:
        self.levels: dict[str, Level] = {}
        self.away = False
        self.asked = 0

    def get(self, product: str) -> Level | None:
        self._ask()
        return self.levels.get(product)

    def offer(self, levels: Sequence[Level]) -> None:
        self._ask()
        for level in levels:
            kept = self.levels.get(level.product)
            if kept is None or kept.version < level.version:
                self.levels[level.product] = level

    def close(self) -> None: ...

    def _ask(self) -> None:
        self.asked += 1
        if self.away:
            raise CacheAway("as ordered")
