"""The mail server of a fault run: logs each message it answers for, and can misbehave.

A message is on disk before its `250` leaves, so that what a sender believes to be accepted is never
missing here; the other way round is the doubt that SMTP leaves, and what the checker counts.
"""

import asyncio
import json
import os
import time
from dataclasses import dataclass
from email import message_from_bytes
from enum import StrEnum
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


class Mood(StrEnum):
    """How the server treats what it is given."""

    KIND = "kind"
    SLOW = "slow"
    BUSY = "busy"  # 451: not now
    LEAVING = "leaving"  # the connection ends after DATA; the message was not taken
    MUTE = "mute"  # the message was taken, the connection ends before the answer


@dataclass(frozen=True)
class Mail:
    """One message for which this server is answerable."""

    time: float
    message_id: str
    recipient: str
    subject: str
    answered: bool
    held: float = 0.0  # seconds that its sender was left waiting for the answer


class MailSink:
    """An SMTP server on 127.0.0.1 with a durable log."""

    def __init__(self, log: Path) -> None:
        self.port = 0
        self.mood = Mood.KIND
        self.delay = 0.0
        self.misbehaved = 0
        self._log = log
        self._file = log.open("a", encoding="utf-8")
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="sink", ident="sink"), "127.0.0.1", 0
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
        self._file.close()

    async def handle_DATA(  # noqa: N802  # aiosmtpd's name for it
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Called by aiosmtpd with a whole message."""
        del session
        mood = self.mood
        if mood is not Mood.KIND:
            self.misbehaved += 1
        held = self.delay if mood is Mood.SLOW else 0.0
        if held:
            await asyncio.sleep(held)
            if server.transport is None or server.transport.is_closing():
                return "421 4.4.2 gone"  # the client lost patience: not taken
        if mood is Mood.BUSY:
            return "451 4.3.2 try again later"
        if mood is Mood.LEAVING:
            _hang_up(server)
            return "421 4.3.2 leaving"
        self._record(envelope, answered=mood is not Mood.MUTE, held=held)
        if mood is Mood.MUTE:
            _hang_up(server)
        return "250 2.0.0 accepted"

    def _record(self, envelope: Envelope, *, answered: bool, held: float) -> None:
        content: Any = envelope.content
        message = message_from_bytes(content if isinstance(content, bytes) else content.encode())
        entry = {
            "time": time.time(),
            "message_id": str(message["Message-ID"]),
            "recipient": envelope.rcpt_tos[0],
            "subject": str(message["Subject"]),
            "answered": answered,
            "held": held,
        }
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _hang_up(server: SMTP) -> None:
    if isinstance(server.transport, asyncio.Transport):
        server.transport.abort()


def read_mails(log: Path) -> list[Mail]:
    """Everything that was accepted, in order."""
    with log.open(encoding="utf-8") as lines:
        return [Mail(**json.loads(line)) for line in lines]
