"""Ledger → SMTP: several senders, each with a connection of its own, one mail at a time."""

import threading
from collections.abc import Callable

import structlog
from prometheus_client import Counter

from email_service.adapters.postgres import PostgresLedger
from email_service.adapters.smtp import SmtpMailer
from email_service.config import EmailSettings
from email_service.domain import Mail
from email_service.handlers import Ledger, Mailer, deliver
from eventbus.clock import Clock, SystemClock
from eventbus.database import Database, is_outage
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing

log = structlog.get_logger(__name__)

CLAIM = 20
IDLE_SECONDS = 0.1
RETRY_SECONDS = 0.5
MAILS = Counter("email_mails_total", "Attempts to send", ["template", "outcome"])


class Pace:
    """At most so many a second, over all senders of the process; 0 is as fast as they can."""

    def __init__(self, rate: float, clock: Clock) -> None:
        self._interval = 1.0 / rate if rate else 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, stop: threading.Event) -> None:
        """Until it is this mail's turn."""
        if not self._interval:
            return
        with self._lock:
            now = self._clock.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._interval
        self._clock.wait(stop, turn - now)


class InsistentLedger:
    """Notes an outcome however long that takes.

    What the mail server said is known here alone until it is noted: giving up on the note because
    the database is away would send the mail a second time.
    """

    def __init__(
        self, ledger: Ledger, clock: Clock, stop: threading.Event, heartbeat: Heartbeat
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._stop = stop
        self._heartbeat = heartbeat

    def claim(self, limit: int) -> list[Mail]:
        """As it is: nothing is lost if it fails."""
        return self._ledger.claim(limit)

    def sent(self, mail: Mail) -> None:
        """The server took it."""
        self._insist(lambda: self._ledger.sent(mail))

    def failed(self, mail: Mail, cause: str, retry_in: float | None) -> None:
        """The server did not."""
        self._insist(lambda: self._ledger.failed(mail, cause, retry_in))

    def _insist(self, note: Callable[[], None]) -> None:
        while True:
            try:
                note()
            except Exception as error:
                if not is_outage(error) or self._clock.wait(self._stop, RETRY_SECONDS):
                    raise
                log.warning("sender.note_delayed", cause=str(error).strip())
                self._heartbeat.beat()
                self._heartbeat.ready = False
            else:
                return


class Senders:
    """The sending loop, run by several threads."""

    def __init__(
        self, settings: EmailSettings, tracing: Tracing, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._tracing = tracing
        self._clock = clock or SystemClock()
        self._pace = Pace(settings.rate, self._clock)

    def run(self, stop: threading.Event, heartbeat: Heartbeat) -> None:
        """Run all senders; the first that fails ends all."""
        database = Database(self._settings.database_url, self._settings.senders, "email-sender")
        failures: list[Exception] = []

        def guarded(work: Callable[[], None]) -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001  # raised again by the loop's own thread
                failures.append(error)
                stop.set()

        threads = [
            threading.Thread(
                target=guarded,
                args=(lambda: self._send(database, stop, heartbeat),),
                name=f"sender-{number}",
            )
            for number in range(self._settings.senders)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        database.close()
        if failures:
            raise failures[0]

    def _send(self, database: Database, stop: threading.Event, heartbeat: Heartbeat) -> None:
        stored = PostgresLedger(database, self._settings.lease)
        ledger = InsistentLedger(stored, self._clock, stop, heartbeat)
        mailer = SmtpMailer(self._settings)
        while not stop.is_set():
            heartbeat.beat()
            try:
                found = self.step(ledger, mailer, stop, heartbeat)
                heartbeat.ready = True
            except Exception as error:
                if not is_outage(error):
                    raise
                heartbeat.ready = False
                log.warning("sender.delayed", cause=str(error).strip())
                self._clock.wait(stop, 1.0)
                continue
            if not found:
                self._clock.wait(stop, IDLE_SECONDS)
        mailer.close()

    def step(
        self, ledger: Ledger, mailer: Mailer, stop: threading.Event, heartbeat: Heartbeat
    ) -> int:
        """Claim some mails and send them; answers how many were claimed.

        With half of the lease gone no other mail is begun: the server is slow, and a mail that is
        still in hand when its lease ends is sent by someone else too. What is left unsent, here
        or by a stop, is claimed anew when its lease is over.
        """
        claimed_at = self._clock.monotonic()
        mails = ledger.claim(CLAIM)
        for mail in mails:
            if stop.is_set() or self._clock.monotonic() - claimed_at > self._settings.lease / 2:
                break
            self._one(mail, mailer, ledger, stop)
            heartbeat.beat()
        return len(mails)

    def _one(self, mail: Mail, mailer: Mailer, ledger: Ledger, stop: threading.Event) -> None:
        self._pace.wait(stop)
        with self._tracing.span("send mail", "client", mail.traceparent, template=mail.template):
            sent = deliver(mail, mailer, ledger)
        MAILS.labels(mail.template, "sent" if sent else "failed").inc()
        if not sent:
            log.warning("mail.not_sent", mail_id=mail.id, attempts=mail.attempts)
