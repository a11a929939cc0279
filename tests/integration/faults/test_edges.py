"""Proxy and mail server of the fault runs, over real sockets."""

import contextlib
import smtplib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.edge import Edge
from faults.mailsink import MailSink, Mood, read_mails
from faults.proxy import Proxy

MESSAGE = "Message-ID: <1@example.com>\r\nSubject: hello\r\n\r\nbody\r\n"


@pytest.fixture
def edge() -> Iterator[Edge]:
    made = Edge()
    yield made
    made.close()


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that answers what it is told."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                while chunk := connection.recv(100):
                    connection.sendall(chunk)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def gate(edge: Edge, echo: int) -> Iterator[Proxy]:
    proxy = Proxy("echo", echo)
    edge.run(proxy.start())
    yield proxy
    edge.run(proxy.stop())


@pytest.fixture
def client(gate: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", gate.port), timeout=5) as connection:
        connection.sendall(b"ping")
        assert connection.recv(100) == b"ping"
        yield connection


def test_a_reset_ends_every_connection(edge: Edge, gate: Proxy, client: socket.socket) -> None:
    assert edge.run(gate.reset()) == 1
    with pytest.raises(ConnectionResetError):
        client.recv(100)


def test_a_silent_peer_neither_answers_nor_hangs_up(gate: Proxy, client: socket.socket) -> None:
    gate.silent = True
    client.settimeout(0.3)
    client.sendall(b"lost")
    with pytest.raises(TimeoutError):
        client.recv(100)


def test_a_slow_peer_answers_later(gate: Proxy, client: socket.socket) -> None:
    gate.latency = 0.1
    client.sendall(b"late")
    assert client.recv(100) == b"late"


@pytest.fixture
def sink(edge: Edge, tmp_path: Path) -> Iterator[MailSink]:
    server = MailSink(tmp_path / "mails.jsonl")
    edge.run(server.start())
    yield server
    edge.run(server.stop())


def send(sink: MailSink, timeout: float = 5.0) -> None:
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=timeout) as session:
        session.sendmail("shop@example.com", ["ada@example.com"], MESSAGE)


def test_an_accepted_mail_is_on_disk(sink: MailSink, tmp_path: Path) -> None:
    send(sink)
    (mail,) = read_mails(tmp_path / "mails.jsonl")
    assert (mail.message_id, mail.recipient, mail.answered) == (
        "<1@example.com>",
        "ada@example.com",
        True,
    )


@pytest.mark.parametrize(
    ("mood", "error", "taken"),
    [
        (Mood.BUSY, smtplib.SMTPDataError, []),
        (Mood.LEAVING, smtplib.SMTPServerDisconnected, []),
        (Mood.MUTE, smtplib.SMTPServerDisconnected, [False]),
    ],
)
def test_a_mood_decides_what_is_taken_and_what_is_said(
    sink: MailSink, tmp_path: Path, mood: Mood, error: type[Exception], taken: list[bool]
) -> None:
    sink.mood = mood
    with pytest.raises(error):
        send(sink)
    assert [mail.answered for mail in read_mails(tmp_path / "mails.jsonl")] == taken
    assert sink.misbehaved == 1


def test_a_mail_whose_sender_lost_patience_is_not_taken(sink: MailSink, tmp_path: Path) -> None:
    sink.mood, sink.delay = Mood.SLOW, 0.2
    with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        send(sink, timeout=0.1)
    sink.delay = 0.5
    send(sink)  # by its end the server is done with the first
    assert len(read_mails(tmp_path / "mails.jsonl")) == 1
