"""A mail server that delivers nothing: what it is given lies in a directory, a file per mail."""

import asyncio
import itertools
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_binary_file, policy
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from eventpipeline_operator.adapters.local.backing.ports import HOST, choose_port

PORT = 1025
LONGEST = 32 * 1024 * 1024


@dataclass(frozen=True)
class CaughtMail:
    """One mail, as far as a list of mails tells of it."""

    file: Path
    recipients: tuple[str, ...]
    subject: str


class MailCatcher:
    """Takes every mail of everybody, whatever they log in with."""

    name = "mail"

    def __init__(self, directory: Path, port: int = PORT) -> None:
        self._directory = directory
        self._server: asyncio.Server | None = None
        self._number = itertools.count(1)
        self.port = port

    @property
    def address(self) -> str:
        """Host and port, true once it has been started."""
        return f"{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen; mails of earlier runs are still there."""
        logging.getLogger("mail.log").setLevel(logging.ERROR)  # it tells of every command
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.port = choose_port(self.port)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, HOST, self.port)

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def mails(self, newest: int = 50) -> list[CaughtMail]:
        """The newest mails, the last one first."""
        files = sorted(self._directory.glob("*.eml"), reverse=True)
        return [read_mail(file) for file in files[:newest]]

    async def handle_DATA(  # noqa: N802 — the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Keep one mail; it is accepted when it has been written."""
        del server, session
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        file = self._directory / f"{now}-{next(self._number):06}.eml"
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_bytes(stamp(envelope))
        unfinished.replace(file)
        return "250 2.0.0 kept"

    def _connection(self) -> SMTP:
        return SMTP(
            self,
            hostname="localhost",
            ident="mail catcher",
            data_size_limit=LONGEST,
            authenticator=lambda *_: AuthResult(success=True),
            auth_require_tls=False,
        )


def stamp(envelope: Envelope) -> bytes:
    """The mail with what only the envelope knows: who really gets it."""
    content = envelope.content or b""
    body = content if isinstance(content, bytes) else content.encode()
    recipients = ", ".join(envelope.rcpt_tos)
    return (
        f"X-Envelope-From: {envelope.mail_from}\r\nX-Envelope-To: {recipients}\r\n".encode() + body
    )


def read_mail(file: Path) -> CaughtMail:
    """Read back what a list tells of a mail."""
    with file.open("rb") as opened:
        message = message_from_binary_file(opened, policy=policy.default)
    recipients = str(message["X-Envelope-To"]).split(", ")
    return CaughtMail(file, tuple(recipients), str(message["Subject"] or ""))
