"""Ports for many processes: one that was just given is not given again before it is listened on."""

from eventpipeline_operator.adapters.local.backing.ports import HOST, choose_port

__all__ = ["HOST", "Ports"]

REMEMBERED = 64


class Ports:
    """Gives ports out."""

    def __init__(self) -> None:
        self._given: tuple[int, ...] = ()

    def choose(self, preferred: int | None = None) -> int:
        """A free port; the preferred one if it can be had."""
        port = choose_port(preferred, but_not=self._given)
        self._given = (*self._given[1 - REMEMBERED :], port)
        return port
