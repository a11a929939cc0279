"""HTTP → use cases: the operations of /api/v1/email."""

import threading
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from email_service import messages
from email_service.adapters.postgres import PostgresLedger
from email_service.adapters.smtp import SmtpMailer
from email_service.config import EmailSettings
from email_service.domain import Letter, State, Template
from email_service.handlers import deliver
from eventbus.envelope import timestamp
from eventbus.identity import new_id
from eventbus.web.api import Api
from eventbus.web.operations import Answer, Operation
from eventbus.web.problems import Problem

PREFIX = "/api/v1/email"
UNKNOWN = "There is no such mail."


class EmailRoutes:
    """The operations, bound to what they need."""

    def __init__(self, ledger: PostgresLedger, settings: EmailSettings) -> None:
        self._ledger = ledger
        self._settings = settings
        self._mailers = threading.local()

    def register(self, api: Api) -> None:
        """Declare every operation."""
        m = messages
        api.add(Operation("GET", "", "List mails", m.MailsAnswer, query=m.MailQuery), self.page)
        api.add(
            Operation("POST", "", "Send a mail by hand", m.MailAnswer, body=m.SendMail), self.send
        )
        api.add(Operation("GET", "/<uuid:mail_id>", "One mail", m.MailAnswer), self.get)
        api.add(
            Operation(
                "POST",
                "/<uuid:mail_id>/resend",
                "Try a dead mail again",
                m.MailAnswer,
                problems=[409],
            ),
            self.resend,
        )

    def page(self, query: messages.MailQuery) -> Answer:
        """Those sent, unless another status is asked for; the newest first."""
        rows = self._ledger.page(query)
        headers = {}
        if len(rows) == query.limit:
            following = {"limit": query.limit, "status": query.status, "after": rows[-1][0]}
            headers["Link"] = f'<{PREFIX}?{urlencode(following)}>; rel="next"'
        return Answer([_show(row) for row in rows], headers=headers)

    def send(self, body: messages.SendMail, traceparent: str | None) -> Answer:
        """Tried at once; if that fails, the senders go on with it."""
        mail_id = new_id()
        letter = Letter(
            id=mail_id,
            order_id=body.orderID,
            template=Template.MANUAL,
            dedupe_key=mail_id,
            recipient=body.emailTo,
            product=body.product,
            quantity=None,
            reason=None,
            traceparent=traceparent,
        )
        mail = self._ledger.create_claimed(letter, self._settings.mail_from)
        (outcome,) = deliver([mail], [self._mailer()], self._ledger)
        data = self._shown(mail_id)
        is_sent = outcome.state is State.SENT
        return Answer(data, "Email just sent." if is_sent else "The email will be sent.")

    def get(self, mail_id: UUID) -> Answer:
        """One mail."""
        return Answer(self._shown(str(mail_id)))

    def resend(self, mail_id: UUID, traceparent: str | None) -> Answer:  # noqa: ARG002
        """Back into the queue, if it was given up."""
        requeued = self._ledger.requeue(str(mail_id))
        data = self._shown(str(mail_id))
        if not requeued:
            raise Problem(409, f"The mail is {data['status']}, not DEAD.")
        return Answer(data, "The email will be sent.")

    def _shown(self, mail_id: str) -> dict[str, Any]:
        row = self._ledger.get(mail_id)
        if row is None:
            raise Problem(404, UNKNOWN)
        return _show(row)

    def _mailer(self) -> SmtpMailer:
        """One session per thread."""
        if not hasattr(self._mailers, "own"):
            self._mailers.own = SmtpMailer(self._settings)
        mailer: SmtpMailer = self._mailers.own
        return mailer


def _show(row: tuple[Any, ...]) -> dict[str, Any]:
    mail_id, subject, body, sender, recipient, moment, state = row
    return {
        "id": mail_id,
        "subject": subject,
        "body": body,
        "email_from": sender,
        "email_to": recipient,
        "dateTime": timestamp(moment),
        "status": state,
    }
