"""Time-ordered identifiers (UUID version 7): rows made together lie together in their index."""

import os
import threading
import time

_RANDOM_BYTES = 10
_BUFFERED = 256


class _Randomness:
    """The kernel's randomness, fetched for many identifiers at a time."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew; in a forked child nothing of the parent's may be used again."""
        self._lock = threading.Lock()
        self._left: list[bytes] = []

    def take(self) -> bytes:
        """Bytes that nobody else gets."""
        with self._lock:
            if not self._left:
                block = os.urandom(_RANDOM_BYTES * _BUFFERED)
                step = _RANDOM_BYTES
                self._left = [block[at : at + step] for at in range(0, len(block), step)]
            return self._left.pop()


_randomness = _Randomness()
os.register_at_fork(after_in_child=_randomness.reset)


def new_id() -> str:
    """A UUID whose order is the order of creation, to the millisecond."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(_randomness.take(), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
