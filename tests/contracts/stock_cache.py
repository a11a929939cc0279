"""What the stock service expects of a cache: one suite for the one in memory and for real Redis."""

from itertools import permutations

import pytest

from stock_service.caching import Cache, Level


def level(version: int, quantity: int = 5, product: str = "book") -> Level:
    return Level("0199-id", product, quantity, version)


class CacheContract:
    """Subclasses bring a fixture `cache` that is empty."""

    def test_what_nobody_offered_is_not_there(self, cache: Cache) -> None:
        assert cache.get("book") is None

    @pytest.mark.parametrize("product", ["book", "a:b", "1:2:3", " ", "日本", "x" * 200])
    def test_what_was_offered_is_found(self, cache: Cache, product: str) -> None:
        cache.offer([level(3, product=product)])
        assert cache.get(product) == level(3, product=product)

    def test_in_whatever_order_copies_come_the_newest_stays(self, cache: Cache) -> None:
        for number, versions in enumerate(permutations([8, 9, 10])):
            product = f"book-{number}"
            for version in versions:
                cache.offer([level(version, version, product)])
            assert cache.get(product) == level(10, 10, product)

    def test_many_are_kept_at_once(self, cache: Cache) -> None:
        cache.offer([level(1, n, f"book-{n}") for n in range(50)])
        assert [cache.get(f"book-{n}") for n in range(50)] == [
            level(1, n, f"book-{n}") for n in range(50)
        ]
