"""What the scripts of hack/ share: errors as one line, and a clean end when interrupted."""

import signal
from collections.abc import Callable
from types import FrameType

from provision.commands import ProvisionError, stop_children
from provision.console import CONSOLE


def run_script(body: Callable[[], int]) -> int:
    """The exit status of a script; what it left running is stopped."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return body()
    except ProvisionError as error:
        CONSOLE.say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        CONSOLE.say("interrupted; running it again goes on from here")
        return 130
    finally:
        stop_children()
        CONSOLE.close()


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
