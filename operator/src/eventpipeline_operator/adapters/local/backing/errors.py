"""What may go wrong with a backing server, in words for the person at the terminal."""

from pathlib import Path

SHOWN_LINES = 15


class BackingError(Exception):
    """A backing server cannot be had; the message says what to do."""


class NotStarted(BackingError):
    """A server did not come up; the message ends with the end of its log."""

    def __init__(self, name: str, why: str, log: Path) -> None:
        super().__init__(f"{name} {why}; {log} ends with:\n{read_end(log)}")


def read_end(log: Path, lines: int = SHOWN_LINES) -> str:
    """The last lines of a log."""
    if not log.exists():
        return "(nothing)"
    said = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"  {line}" for line in said) or "(nothing)"
