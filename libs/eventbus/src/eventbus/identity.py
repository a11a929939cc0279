"""Time-ordered identifiers (UUID version 7): rows made together lie together in their index."""

import os
import time
import uuid


def new_id() -> str:
    """A UUID whose order is the order of creation, to the millisecond."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | random
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
