"""Ports of this machine."""

import socket

HOST = "127.0.0.1"


def choose_port(wanted: int | None = None, *, but_not: tuple[int, ...] = ()) -> int:
    """The wanted TCP port of 127.0.0.1, another where that one is taken."""
    if wanted and wanted not in but_not and _is_free(wanted):
        return wanted
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port not in but_not:
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of the last run that have not quite ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
