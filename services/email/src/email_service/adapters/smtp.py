"""One connection to the mail server, kept open between mails.

A mail takes two round trips: the commands up to DATA leave together where the server allows that
(RFC 2920), then the text. Each has a call of its own, so that one thread keeps several connections
busy.
"""

import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from email.errors import MessageError

from email_service.composing import compose
from email_service.config import EmailSettings
from email_service.domain import Mail
from email_service.handlers import NotNow, Refused

_WANTED = ((250,), (250, 251), (354,))  # of MAIL, RCPT and DATA
_TAKEN = 250
_LEAVING = 421


class _HungUp(NotNow):
    """The session is no more."""


class SmtpMailer:
    """Not for several threads; one mail is in hand at a time."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._session: smtplib.SMTP | None = None
        self._rested = False
        self._commands: list[bytes] = []
        self._text = b""
        self._fault: Exception | None = None

    def offer(self, mail: Mail) -> None:
        """Announce a mail."""
        self._fault = None
        try:
            text = compose(mail, self._settings.mail_from)
        except MessageError as error:  # no later attempt would find it well-formed
            self._fault = Refused(f"cannot be written as a mail: {error}")
            return
        self._text = text.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        self._commands = [
            f"MAIL FROM:{smtplib.quoteaddr(self._settings.mail_from)}\r\n".encode(),
            f"RCPT TO:{smtplib.quoteaddr(mail.recipient)}\r\n".encode(),
            b"DATA\r\n",
        ]
        self._rested = self._session is not None
        self._attempt(self._announce)

    def hand_over(self) -> None:
        """Send the text; a session that was closed while it rested is opened anew, once."""
        self._attempt(self._send_text)
        if self._rested and isinstance(self._fault, _HungUp):
            self._fault = None
            self._attempt(self._announce)
            self._attempt(self._send_text)

    def result(self) -> None:
        """Return when the server took the mail; else what went wrong."""
        self._attempt(self._hear)
        if self._fault is not None:
            raise self._fault

    def close(self) -> None:
        """End the session without ceremony."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def _attempt(self, step: Callable[[smtplib.SMTP], None]) -> None:
        """One step, unless an earlier one failed."""
        if self._fault is not None:
            return
        try:
            session = self._session = self._session or self._open()
            step(session)
        except (Refused, NotNow) as error:
            self._fault = error
        except smtplib.SMTPResponseException as error:
            self.close()
            self._fault = _classified(error.smtp_code, error.smtp_error)
        except smtplib.SMTPServerDisconnected as error:
            self.close()
            self._fault = _HungUp(f"the server hung up: {error}")
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            self._fault = NotNow(str(error))

    def _announce(self, session: smtplib.SMTP) -> None:
        """All that may be said before an answer is heard."""
        pipelined = session.has_extn("pipelining")
        session.send(b"".join(self._commands) if pipelined else self._commands[0])

    def _send_text(self, session: smtplib.SMTP) -> None:
        refusal: tuple[int, bytes] | None = None
        code = 0
        for number, (command, wanted) in enumerate(zip(self._commands, _WANTED, strict=True)):
            if number and not session.has_extn("pipelining"):
                if refusal is not None:
                    break
                session.send(command)
            code, said = session.getreply()
            if code not in wanted and refusal is None:
                refusal = code, said
        if refusal is None:
            session.send(self._text)
            return
        self._withdraw(session, is_awaited=code in _WANTED[-1])
        raise _classified(*refusal)

    def _withdraw(self, session: smtplib.SMTP, *, is_awaited: bool) -> None:
        """Nothing of a refused mail may stay behind; a text that is awaited must come, if empty."""
        with suppress(smtplib.SMTPException):
            if is_awaited:
                session.send(b".\r\n")
                session.getreply()
            session.rset()
            return
        self.close()

    def _hear(self, session: smtplib.SMTP) -> None:
        code, said = session.getreply()
        if code == _LEAVING:
            self.close()
        if code != _TAKEN:
            raise _classified(code, said)

    def _open(self) -> smtplib.SMTP:
        settings = self._settings
        host, port, timeout = settings.smtp_host, settings.smtp_port, settings.smtp_timeout
        if settings.smtp_security == "tls":
            context = ssl.create_default_context()
            session: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
        else:
            session = smtplib.SMTP(host, port, timeout=timeout)
        session.ehlo_or_helo_if_needed()
        encrypted = settings.smtp_security == "tls" or self._start_tls(session)
        # Credentials leave only when asked for, and in clear text only when that was chosen.
        may_login = encrypted or settings.smtp_security == "none"
        if settings.smtp_username and may_login and session.has_extn("auth"):
            session.login(settings.smtp_username, settings.smtp_password)
        return session

    def _start_tls(self, session: smtplib.SMTP) -> bool:
        wanted = self._settings.smtp_security
        if wanted == "none" or (wanted == "auto" and not session.has_extn("starttls")):
            return False
        session.starttls(context=ssl.create_default_context())
        session.ehlo()
        return True


def _classified(code: int, text: bytes | str) -> Exception:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    # 5yz is final, except what is said about the session and not about the mail.
    if 500 <= code < 600 and code not in (502, 503, 530, 535):
        return Refused(f"{code} {shown}")
    return NotNow(f"{code} {shown}")
