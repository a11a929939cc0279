"""Ledger → SMTP: one loop with several connections, on each of them one mail at a time."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack

import structlog
from prometheus_client import Counter

from email_service.adapters.postgres import PostgresLedger
from email_service.adapters.smtp import SmtpMailer
from email_service.config import EmailSettings
from email_service.domain import Mail, Outcome, State, Template
from email_service.handlers import Ledger, Mailer, deliver
from eventbus.clock import Clock, SystemClock
from eventbus.database import Database, is_outage
from eventbus.metrics import exemplar
from eventbus.runtime import Heartbeat
from eventbus.tracing import Tracing

log = structlog.get_logger(__name__)

CLAIM = 40
IDLE_SECONDS = 0.1
RETRY_SECONDS = 0.5
OUTAGE_SECONDS = 1.0
MAILS = Counter("email_mails_total", "Attempts to send", ["template", "outcome"])
for each in Template:  # a series that begins with its first failure hides it
    MAILS.labels(each, "sent")
    MAILS.labels(each, "failed")


class Pace:
    """At most so many a second, over all connections; 0 is as fast as they can."""

    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._next = 0.0

    def at_once(self, connections: int) -> int:
        """How many mails may go side by side."""
        return max(1, min(connections, int(self._rate))) if self._rate else connections

    def wait(self, stop: threading.Event, mails: int = 1) -> None:
        """Until it is the turn of these mails."""
        if not self._rate:
            return
        now = self._clock.monotonic()
        turn = max(now, self._next)
        self._next = turn + mails / self._rate
        self._clock.wait(stop, turn - now)


class InsistentLedger:
    """Notes outcomes however long that takes.

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

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Until it is done, or a stop."""
        while True:
            try:
                self._ledger.note(outcomes)
            except Exception as error:
                if not is_outage(error) or self._clock.wait(self._stop, RETRY_SECONDS):
                    raise
                log.warning("sender.note_delayed", cause=str(error).strip())
                self._heartbeat.beat()
                self._heartbeat.ready = False
            else:
                return


class Sender:
    """The sending loop."""

    def __init__(
        self, settings: EmailSettings, tracing: Tracing, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._tracing = tracing
        self._clock = clock or SystemClock()
        self._pace = Pace(settings.rate, self._clock)

    def run(self, stop: threading.Event, heartbeat: Heartbeat) -> None:
        """Send until told to stop; an outage is waited out."""
        database = Database(self._settings.database_url, 1, "email-sender")
        stored = PostgresLedger(database, self._settings.lease)
        ledger = InsistentLedger(stored, self._clock, stop, heartbeat)
        mailers = [SmtpMailer(self._settings) for _ in range(self._settings.senders)]
        try:
            while not stop.is_set():
                self._clock.wait(stop, self._turn(ledger, mailers, stop, heartbeat))
        finally:
            for mailer in mailers:
                mailer.close()
            database.close()

    def _turn(
        self,
        ledger: Ledger,
        mailers: Sequence[Mailer],
        stop: threading.Event,
        heartbeat: Heartbeat,
    ) -> float:
        """One claim and its mails; answers how long to rest."""
        heartbeat.beat()
        try:
            found = self.step(ledger, mailers, stop, heartbeat)
        except Exception as error:
            if not is_outage(error):
                raise
            heartbeat.ready = False
            log.warning("sender.delayed", cause=str(error).strip())
            return OUTAGE_SECONDS
        heartbeat.ready = True
        return IDLE_SECONDS if found < CLAIM else 0.0

    def step(
        self,
        ledger: Ledger,
        mailers: Sequence[Mailer],
        stop: threading.Event,
        heartbeat: Heartbeat,
    ) -> int:
        """Claim some mails and send them; answers how many were claimed.

        With half of the lease gone no other mail is begun: the server is slow, and a mail that is
        still in hand when its lease ends is sent by someone else too. What is left unsent, here
        or by a stop, is claimed anew when its lease is over.
        """
        claimed_at = self._clock.monotonic()
        mails = ledger.claim(CLAIM)
        width = self._pace.at_once(len(mailers))
        for first in range(0, len(mails), width):
            if stop.is_set() or self._clock.monotonic() - claimed_at > self._settings.lease / 2:
                break
            together = mails[first : first + width]
            self._pace.wait(stop, len(together))
            self._send(together, mailers, ledger, heartbeat)
        return len(mails)

    def _send(
        self,
        mails: Sequence[Mail],
        mailers: Sequence[Mailer],
        ledger: Ledger,
        heartbeat: Heartbeat,
    ) -> None:
        with ExitStack() as spans:
            traces = [
                spans.enter_context(
                    self._tracing.span(
                        "send mail", "client", mail.traceparent, template=mail.template
                    )
                )
                for mail in mails
            ]
            outcomes = deliver(mails, mailers, ledger, heartbeat.beat)
        for mail, outcome, trace in zip(mails, outcomes, traces, strict=True):
            is_sent = outcome.state is State.SENT
            counter = MAILS.labels(mail.template, "sent" if is_sent else "failed")
            counter.inc(exemplar=exemplar(trace))
            if not is_sent:
                log.warning("mail.not_sent", mail_id=mail.id, attempts=mail.attempts)
