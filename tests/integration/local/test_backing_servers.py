"""Kafka, Postgres and the mail catcher as `eventpipeline dev` runs them."""

import asyncio
import smtplib
from email.message import EmailMessage
from pathlib import Path

import psycopg2
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from eventpipeline_operator.adapters.local.backing.errors import NotStarted
from eventpipeline_operator.adapters.local.backing.kafka import KafkaServer
from eventpipeline_operator.adapters.local.backing.mail import MailCatcher
from eventpipeline_operator.adapters.local.backing.packages import KafkaPrograms
from eventpipeline_operator.adapters.local.backing.postgres import PostgresServer, connect
from servers.local import answers, taken

KAFKA_MIB = 400


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def topics(kafka: KafkaServer) -> set[str]:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    return set(admin.list_topics(timeout=10).topics)


def create_topic(kafka: KafkaServer, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic(name, 3, 1)])[name].result(10)


async def test_kafka_keeps_its_topics_when_it_comes_back_on_another_port(
    kafka_programs: KafkaPrograms, directory: Path
) -> None:
    kafka = KafkaServer(kafka_programs, directory / "kafka")
    await kafka.start()
    try:
        create_topic(kafka, "orders")
        assert kafka.pid
        assert resident_mib(kafka.pid) < KAFKA_MIB
        first = kafka.port
    finally:
        await kafka.stop()
    assert not answers(first)
    with taken(first):
        again = KafkaServer(kafka_programs, directory / "kafka", first)
        await again.start()
        try:
            assert again.port != first
            assert "orders" in topics(again)
        finally:
            await again.stop()


async def test_a_kafka_that_cannot_start_shows_its_last_words(
    kafka_programs: KafkaPrograms, directory: Path
) -> None:
    kafka = KafkaServer(kafka_programs, directory / "kafka")
    data = directory / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("nonsense")
    with pytest.raises(
        NotStarted, match=r"(?s)Kafka has ended; .*kafka\.log ends with:.*node ID not found"
    ):
        await kafka.start()
    await kafka.stop()


async def test_postgres_keeps_its_rows_over_a_restart_and_wants_its_password(
    postgres_programs: Path, directory: Path
) -> None:
    postgres = PostgresServer(postgres_programs, directory / "postgres")
    await postgres.start()
    try:
        with connect(postgres.url()).cursor() as cursor:
            cursor.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(f"postgresql://postgres@{postgres.address}/postgres", password="guess")
    finally:
        await postgres.stop()
    again = PostgresServer(postgres_programs, directory / "postgres")
    await again.start()
    try:
        with connect(again.url()).cursor() as cursor:
            cursor.execute("SELECT answer FROM kept")
            assert cursor.fetchone() == (42,)
    finally:
        await again.stop()


async def test_two_servers_of_one_kind_get_along(postgres_programs: Path, directory: Path) -> None:
    one = PostgresServer(postgres_programs, directory / "one")
    other = PostgresServer(postgres_programs, directory / "other")
    try:
        await one.start()
        await other.start()
        assert one.port != other.port
        connect(one.url()).close()
        connect(other.url()).close()
    finally:
        await one.stop()
        await other.stop()


async def test_a_storage_that_was_half_made_is_made_anew(
    postgres_programs: Path, directory: Path
) -> None:
    broken_off = directory / "postgres" / "data"
    broken_off.mkdir(parents=True)
    (broken_off / "base").mkdir()
    postgres = PostgresServer(postgres_programs, directory / "postgres")
    await postgres.start()
    await postgres.stop()


async def test_mails_are_kept_as_files_with_whom_they_really_went_to(tmp_path: Path) -> None:
    catcher = MailCatcher(tmp_path / "mails")
    await catcher.start()
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@example.com", "ada@example.com", "Bücher"
    mail.set_content("Danke.")

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", catcher.port) as session:
            session.login("anybody", "whatever")
            session.send_message(mail, to_addrs=["ada@example.com", "hidden@example.com"])

    await asyncio.to_thread(send)
    await catcher.stop()
    assert not answers(catcher.port)
    later = MailCatcher(tmp_path / "mails")
    (kept,) = later.mails()
    assert kept.subject == "Bücher"
    assert kept.recipients == ("ada@example.com", "hidden@example.com")
    assert b"Danke." in kept.file.read_bytes()
