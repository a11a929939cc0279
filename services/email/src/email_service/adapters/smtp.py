"""One connection to the mail server, kept open between mails."""

import smtplib
import ssl
from email.charset import QP, Charset
from email.errors import MessageError
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime

from email_service.config import EmailSettings
from email_service.domain import Mail, message_id
from email_service.handlers import NotNow, Refused

LONGEST_LINE = 998
_WIRE = compat32.clone(linesep="\r\n")
_QUOTED = Charset("utf-8")
_QUOTED.body_encoding = QP


class SmtpMailer:
    """Not for several threads: each sender has its own."""

    def __init__(self, settings: EmailSettings) -> None:
        self._settings = settings
        self._session: smtplib.SMTP | None = None

    def send(self, mail: Mail) -> None:
        """A session that the server closed while it rested is opened anew, once."""
        try:
            message = compose(mail, self._settings.mail_from)
        except MessageError as error:  # no later attempt would find it well-formed
            raise Refused(f"cannot be written as a mail: {error}") from error
        fresh = self._session is None
        try:
            self._send_once(mail, message)
        except smtplib.SMTPServerDisconnected as error:
            self.close()
            if fresh:
                raise NotNow(f"the server hung up: {error}") from error
            self._send_again(mail, message)

    def _send_again(self, mail: Mail, message: bytes) -> None:
        try:
            self._send_once(mail, message)
        except smtplib.SMTPServerDisconnected as error:
            self.close()
            raise NotNow(f"the server hung up: {error}") from error

    def _send_once(self, mail: Mail, message: bytes) -> None:
        try:
            session = self._session or self._open()
            self._session = session
            session.sendmail(self._settings.mail_from, [mail.recipient], message)
        except smtplib.SMTPServerDisconnected:
            raise
        except smtplib.SMTPRecipientsRefused as error:
            code, text = next(iter(error.recipients.values()))
            raise _classified(code, text) from error
        except smtplib.SMTPResponseException as error:
            self.close()
            raise _classified(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise NotNow(str(error)) from error

    def _open(self) -> smtplib.SMTP:
        settings = self._settings
        host, port, timeout = settings.smtp_host, settings.smtp_port, settings.smtp_timeout
        if settings.smtp_security == "tls":
            context = ssl.create_default_context()
            session: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
        else:
            session = smtplib.SMTP(host, port, timeout=timeout)
        session.ehlo()
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

    def close(self) -> None:
        """End the session without ceremony."""
        if self._session is not None:
            self._session.close()
        self._session = None


def compose(mail: Mail, sender: str) -> bytes:
    """The message as it travels; identical for every attempt.

    Its lines end with CRLF: smtplib passes bytes on as they are, and servers refuse a bare newline
    or take the whole body for one line that is too long. `EmailMessage` would parse each header
    that it writes, at a millisecond a mail.
    """
    parts = [_part(mail.body, "plain")]
    if mail.html:
        parts.append(_part(mail.html, "html"))
    message = MIMEMultipart("alternative", f"=_{mail.id}", parts, policy=_WIRE)
    message["Message-ID"] = message_id(mail.id, sender)
    message["Date"] = format_datetime(mail.created_at)
    message["From"] = sender
    message["To"] = mail.recipient
    subject = Header(mail.subject, "us-ascii" if mail.subject.isascii() else "utf-8")
    message["Subject"] = subject  # type: ignore[assignment]  # documented
    return message.as_bytes()


def _part(text: str, subtype: str) -> MIMEText:
    # RFC 5321 4.5.3.1.6: no line above 998 characters; quoting breaks long ones.
    is_plain = text.isascii() and max(map(len, text.splitlines()), default=0) <= LONGEST_LINE
    if is_plain:
        return MIMEText(text, subtype, "us-ascii", policy=_WIRE)
    return MIMEText(text, subtype, _QUOTED, policy=_WIRE)  # type: ignore[arg-type]  # documented


def _classified(code: int, text: bytes | str) -> Exception:
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text
    # 5yz is final, except what is said about the session and not about the mail.
    if 500 <= code < 600 and code not in (502, 503, 530, 535):
        return Refused(f"{code} {shown}")
    return NotNow(f"{code} {shown}")
