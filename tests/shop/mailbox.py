"""A real SMTP server that keeps what it is given, and can be told to refuse or to be slow."""

from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from servers.local import free_port


@dataclass
class Mailbox:
    """Accepted mails, in the order of their acceptance."""

    mails: list[EmailMessage] = field(default_factory=list)
    answer: str = "250 kept"
    pipelining: bool = False
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_EHLO(  # noqa: N802 — the name is aiosmtpd's
        self, _server: SMTP, session: Session, _envelope: Envelope, host: str, answers: list[str]
    ) -> list[str]:
        session.host_name = host
        return [*answers[:-1], *(["250-PIPELINING"] if self.pipelining else []), answers[-1]]

    async def handle_DATA(  # noqa: N802 — the name is aiosmtpd's
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if self.answer.startswith("250"):
            content: Any = envelope.content
            self.mails.append(message_from_bytes(content, policy=policy.default))
        return self.answer

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    def to(self, recipient: str) -> list[EmailMessage]:
        """Mails for one recipient."""
        return [mail for mail in self.mails if mail["To"] == recipient]
