import asyncio
import io
import smtplib
from email.message import EmailMessage

from eventbench.sinks import Session, SpanSession


def write_mail(number: int) -> EmailMessage:
    mail = EmailMessage()
    mail["Message-ID"] = f"<mail-{number}@example.com>"
    mail["From"], mail["To"], mail["Subject"] = "shop@example.com", "ada@example.com", "Hello"
    mail.set_content("A line.\n.\nA line after a dot.")
    return mail


def send_mails(port: int, count: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=5) as client:
        client.login("somebody", "secret")
        for number in range(count):
            client.send_message(write_mail(number))


async def test_each_accepted_mail_is_one_line_with_its_message_id_and_recipient() -> None:
    record = io.StringIO()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(record), "127.0.0.1", 0)
    async with server:
        await asyncio.to_thread(send_mails, server.sockets[0].getsockname()[1], 3)
    lines = [line.split("\t") for line in record.getvalue().splitlines()]
    assert [line[1] for line in lines] == [f"<mail-{number}@example.com>" for number in range(3)]
    assert {line[2] for line in lines} == {"ada@example.com"}


async def test_commands_may_come_pipelined() -> None:
    record = io.StringIO()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(record), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(
            b"EHLO me\r\nMAIL FROM:<a@b.co>\r\nRCPT TO:<c@d.co>\r\nDATA\r\n"
            b"Message-ID: <one@b.co>\r\n\r\nHi\r\n.\r\nQUIT\r\n"
        )
        answered = await reader.read()
        writer.close()
    assert answered.rstrip().endswith(b"221 bye")
    assert "<one@b.co>\tc@d.co" in record.getvalue()


async def test_spans_are_accepted_post_after_post() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(SpanSession, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for _ in range(2):
            writer.write(b"POST /api/v2/spans HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 202")
        writer.close()
