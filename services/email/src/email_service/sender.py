"""Ledger → SMTP: several senders, each with a connection of its own, one mail at a time."""

import threading
from collections.abc import Callable

import structlog
from prometheus_client import Counter

from email_service.adapters.postgres import PostgresLedger
from email_service.adapters.smtp import SmtpMailer
from email_service.config import EmailSettings
from email_service.domain import Mail
from email_service.handlers import deliver
from eventbus.clock import Clock, SystemClock
from eventbus.database import Database, is_outage
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing

log = structlog.get_logger(__name__)

CLAIM = 20
IDLE_SECONDS = 0.1
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
                args=(lambda: self._send(PostgresLedger(database), stop, heartbeat),),
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

    def _send(self, ledger: PostgresLedger, stop: threading.Event, heartbeat: Heartbeat) -> None:
        mailer = SmtpMailer(self._settings)
        while not stop.is_set():
            heartbeat.beat()
            try:
                mails = ledger.claim(CLAIM)
                heartbeat.ready = True
                for mail in mails:
                    # What a stop leaves unsent is claimed again when its lease runs out.
                    self._one(mail, mailer, ledger, stop)
                    heartbeat.beat()
            except Exception as error:
                if not is_outage(error):
                    raise
                heartbeat.ready = False
                log.warning("sender.delayed", cause=str(error).strip())
                self._clock.wait(stop, 1.0)
                continue
            if not mails:
                self._clock.wait(stop, IDLE_SECONDS)
        mailer.close()

    def _one(
        self, mail: Mail, mailer: SmtpMailer, ledger: PostgresLedger, stop: threading.Event
    ) -> None:
        self._pace.wait(stop)
        with self._tracing.span("send mail", "client", mail.traceparent, template=mail.template):
            sent = deliver(mail, mailer, ledger)
        MAILS.labels(mail.template, "sent" if sent else "failed").inc()
        if not sent:
            log.warning("mail.not_sent", mail_id=mail.id, attempts=mail.attempts)
