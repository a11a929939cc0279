"""Where mails and spans end: an SMTP server and a Zipkin collector that accept everything.

A process of its own, so that its cost is not counted as the services'. One line per accepted mail:
time (seconds since the epoch), Message-ID, recipient. The time is taken before the `250` leaves,
so that what the sender knows is never earlier than the record. Spans are counted by nobody: they
are there so that tracing costs what it costs.
"""

import argparse
import asyncio
import re
import signal
import sys
import time
from pathlib import Path
from typing import TextIO

_MESSAGE_ID = re.compile(rb"^message-id:\s*(<[^>]*>|\S+)", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_FLUSH_SECONDS = 0.2
_EHLO = (
    b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
    b"250-AUTH PLAIN\r\n250 SIZE 10485760\r\n"
)
_REPLIES = {
    b"HELO": b"250 sink\r\n",
    b"MAIL": b"250 ok\r\n",
    b"RCPT": b"250 ok\r\n",
    b"RSET": b"250 ok\r\n",
    b"NOOP": b"250 ok\r\n",
    b"EHLO": _EHLO,
}


class Session(asyncio.Protocol):
    """One SMTP connection; commands may come pipelined."""

    def __init__(self, record: TextIO) -> None:
        self._record = record
        self._buffer = b""
        self._in_data = False
        self._awaits_credentials = False
        self._recipient = ""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a client is there."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # TCP
        self._transport = transport
        transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """asyncio: commands, or a mail's text."""
        self._buffer += data
        replies = []
        while (reply := self._step()) is not None:
            replies.append(reply)
        if replies and self._transport is not None:
            self._transport.write(b"".join(replies))
            if replies[-1].startswith(b"221"):
                self._transport.close()

    def _step(self) -> bytes | None:
        """Take one command or one whole mail off the buffer; None when it needs more bytes."""
        mark = b"\r\n.\r\n" if self._in_data else b"\r\n"
        end = self._buffer.find(mark)
        if end < 0:
            return None
        taken = self._buffer[:end]
        self._buffer = self._buffer[end + len(mark) :]
        if self._in_data:
            self._in_data = False
            return self._accept(taken)
        return self._answer(taken)

    def _answer(self, line: bytes) -> bytes:
        if self._awaits_credentials:
            self._awaits_credentials = False
            return b"235 ok\r\n"
        verb = line[:4].upper()
        if verb == b"RCPT":
            self._recipient = line[8:].decode("ascii", "replace").strip("<> ")
        if verb == b"DATA":
            self._in_data = True
            return b"354 go on\r\n"
        if verb == b"QUIT":
            return b"221 bye\r\n"
        if verb == b"AUTH":
            self._awaits_credentials = len(line.split()) == 2
            return b"334 \r\n" if self._awaits_credentials else b"235 ok\r\n"
        return _REPLIES.get(verb, b"502 unknown\r\n")

    def _accept(self, mail: bytes) -> bytes:
        found = _MESSAGE_ID.search(mail)
        message_id = found[1].decode("ascii", "replace") if found else "-"
        self._record.write(f"{time.time():.6f}\t{message_id}\t{self._recipient}\n")
        return b"250 accepted\r\n"


class SpanSession(asyncio.Protocol):
    """One HTTP connection of an exporter; every POST is welcome."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: an exporter is there."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # TCP
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """asyncio: part of a POST; answered when its body is complete."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._transport is None:
            return
        length = _LENGTH.search(self._buffer[: end + 2])
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) >= whole:
            self._buffer = self._buffer[whole:]
            self._transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


async def serve(smtp_port: int, zipkin_port: int, record: TextIO) -> None:
    """Serve until SIGTERM; the record is flushed a few times per second."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    mails = await loop.create_server(lambda: Session(record), "127.0.0.1", smtp_port, backlog=256)
    spans = await loop.create_server(SpanSession, "127.0.0.1", zipkin_port)
    async with mails, spans:
        while not stop.is_set():
            record.flush()
            try:
                await asyncio.wait_for(stop.wait(), _FLUSH_SECONDS)
            except TimeoutError:
                continue


def main() -> int:
    """Command line: two ports, and the file of the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--zipkin-port", type=int, required=True)
    parser.add_argument("--record", type=Path, required=True)
    options = parser.parse_args()
    with options.record.open("a", encoding="ascii") as record:
        asyncio.run(serve(options.smtp_port, options.zipkin_port, record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
