"""A session with the mail server: what is said, and what each answer means."""

import smtplib
from datetime import UTC, datetime

import pytest

from email_service.adapters.smtp import SmtpMailer
from email_service.config import EmailSettings
from email_service.domain import Mail, Template
from email_service.handlers import NotNow, Refused

MAIL = Mail(
    "0190-id",
    Template.CONFIRMED,
    "ada@example.com",
    "Order Created",
    "text\n.\n..",
    None,
    1,
    datetime(2026, 1, 1, tzinfo=UTC),
    None,
)
Reply = tuple[int, bytes] | Exception
OK, GO_ON = (250, b"ok"), (354, b"go on")
TAKEN: list[Reply] = [OK, OK, GO_ON, OK]
GONE = smtplib.SMTPServerDisconnected("gone")


class ScriptedSession(smtplib.SMTP):
    """Notes what is sent and answers from a list; then it hangs up."""

    def __init__(self, *replies: Reply, pipelining: bool = True) -> None:
        super().__init__()
        self.esmtp_features = {"pipelining": ""} if pipelining else {}
        self.sent: list[bytes] = []
        self._replies = list(replies)

    def send(self, s: bytes | str) -> None:  # type: ignore[override]
        self.sent.append(s if isinstance(s, bytes) else s.encode())

    def getreply(self) -> tuple[int, bytes]:
        reply = self._replies.pop(0) if self._replies else GONE
        if isinstance(reply, Exception):
            raise reply
        return reply


def build_mailer(
    monkeypatch: pytest.MonkeyPatch, *sessions: ScriptedSession | Exception
) -> SmtpMailer:
    made = SmtpMailer(EmailSettings.from_env({"DATABASE_URL": "x"}))
    queue = list(sessions)

    def open_next() -> ScriptedSession:
        following = queue.pop(0)
        if isinstance(following, Exception):
            raise following
        return following

    monkeypatch.setattr(made, "_open", open_next)
    return made


def send(mailer: SmtpMailer, mail: Mail = MAIL) -> None:
    mailer.offer(mail)
    mailer.hand_over()
    mailer.result()


def test_commands_leave_together_where_the_server_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = ScriptedSession(*TAKEN)
    send(build_mailer(monkeypatch, session))
    commands, text = session.sent
    envelope = b"MAIL FROM:<shop@example.com>\r\nRCPT TO:<ada@example.com>\r\nDATA\r\n"
    assert commands == envelope
    assert text.endswith(b"--\r\n.\r\n")


def test_commands_wait_for_each_other_where_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    session = ScriptedSession(*TAKEN, pipelining=False)
    send(build_mailer(monkeypatch, session))
    assert [sent[:4] for sent in session.sent] == [b"MAIL", b"RCPT", b"DATA", b"Mess"]


def test_a_line_that_begins_with_a_dot_does_not_end_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = ScriptedSession(*TAKEN)
    send(build_mailer(monkeypatch, session))
    assert b"\r\ntext\r\n..\r\n...\r\n" in session.sent[-1]


def test_a_session_is_kept_between_mails(monkeypatch: pytest.MonkeyPatch) -> None:
    one = build_mailer(monkeypatch, ScriptedSession(*TAKEN, *TAKEN))
    send(one)
    send(one)


def test_a_session_that_was_closed_meanwhile_is_opened_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second = ScriptedSession(*TAKEN)
    one = build_mailer(monkeypatch, ScriptedSession(*TAKEN), second)
    send(one)
    send(one)
    assert len(second.sent) == 2


def test_a_session_that_ends_after_the_text_leaves_the_mail_in_doubt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second = ScriptedSession(*TAKEN)
    one = build_mailer(monkeypatch, ScriptedSession(*TAKEN, OK, OK, GO_ON), second)
    send(one)
    with pytest.raises(NotNow, match="hung up"):
        send(one)
    assert second.sent == []


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        ([OK, (550, b"unknown user"), (503, b"no recipient"), OK], Refused),
        ([OK, (450, b"greylisted"), (503, b"no recipient"), OK], NotNow),
        ([(451, b"later"), (503, b"no sender"), (503, b"no sender"), OK], NotNow),
        ([OK, OK, GO_ON, (554, b"spam")], Refused),
        ([OK, OK, GO_ON, (452, b"full")], NotNow),
        ([OK, OK, GO_ON, (421, b"leaving")], NotNow),
        ([GONE], NotNow),
        ([OK, OK, TimeoutError("slow")], NotNow),
    ],
)
def test_each_answer_has_one_fate(
    monkeypatch: pytest.MonkeyPatch, replies: list[Reply], expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        send(build_mailer(monkeypatch, ScriptedSession(*replies)))


@pytest.mark.parametrize(
    "error",
    [
        smtplib.SMTPAuthenticationError(535, b"bad credentials"),
        TimeoutError("slow"),
        ConnectionRefusedError("down"),
    ],
)
def test_a_server_that_is_not_reached_is_tried_later(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with pytest.raises(NotNow):
        send(build_mailer(monkeypatch, error))


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_refused_recipient_does_not_harm_the_next_mail(
    monkeypatch: pytest.MonkeyPatch, *, pipelining: bool
) -> None:
    refused: list[Reply] = [OK, (550, b"unknown user")]
    if pipelining:  # a server may ask for the text all the same
        refused += [GO_ON, (554, b"no valid recipient")]
    session = ScriptedSession(*refused, OK, *TAKEN, pipelining=pipelining)
    one = build_mailer(monkeypatch, session)
    with pytest.raises(Refused):
        send(one)
    send(one)
    assert b"rset\r\n" in session.sent
    assert (b".\r\n" in session.sent) is pipelining


def test_a_mail_that_cannot_be_written_is_refused_without_a_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = build_mailer(monkeypatch)
    one.offer(Mail("0", Template.MANUAL, "a@b\nX: y", "", "", None, 1, MAIL.created_at, None))
    one.hand_over()
    with pytest.raises(Refused):
        one.result()
