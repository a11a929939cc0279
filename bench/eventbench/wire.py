"""HTTP/1.1 as far as a load generator needs it: one request in flight on a kept connection."""

import asyncio
import re
from dataclasses import dataclass
from typing import Protocol

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response."""

    status: int
    body: bytes
    closes: bool


def parse_answer(data: bytes) -> Answer | None:
    """The response in `data`, None while it is incomplete."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[: end + 2]
    body = data[end + 4 :]
    length = _LENGTH.search(head)
    if length is not None:
        if len(body) < int(length[1]):
            return None
    elif _CHUNKED.search(head) and not body.endswith(_LAST_CHUNK):
        return None
    return Answer(int(head[9:12]), body, _CLOSE.search(head) is not None)


class Listener(Protocol):
    """Who is told what became of a request."""

    def opened(self, connection: "Connection") -> None:
        """It can take a request."""
        ...

    def answered(self, connection: "Connection", answer: Answer) -> None:
        """The request in flight has its answer."""
        ...

    def lost(self, connection: "Connection") -> None:
        """The connection is gone, with or without a request in flight."""
        ...


class Connection(asyncio.Protocol):
    """One connection; whoever sends keeps to one request at a time."""

    __slots__ = ("_buffer", "_listener", "_transport", "busy", "intended", "sent")

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self.busy = False
        self.intended = 0.0
        self.sent = 0.0

    def send(self, request: bytes, intended: float, now: float) -> None:
        """Send a request that should have left at `intended`."""
        assert self._transport is not None  # noqa: S101  # only opened connections are used
        self.busy = True
        self.intended = intended
        self.sent = now
        self._transport.write(request)

    def abort(self) -> None:
        """Drop it without ceremony; `lost` follows."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: connected."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # TCP
        self._transport = transport
        self._listener.opened(self)

    def data_received(self, data: bytes) -> None:
        """asyncio: some bytes of a response."""
        self._buffer = self._buffer + data if self._buffer else data
        answer = parse_answer(self._buffer)
        if answer is None:
            return
        self._buffer = b""
        self.busy = False
        if answer.closes and self._transport is not None:
            self._transport.close()
        self._listener.answered(self, answer)

    def connection_lost(self, _: Exception | None) -> None:
        """asyncio: closed by either side."""
        self._transport = None
        self._listener.lost(self)
