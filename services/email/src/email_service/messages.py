"""The service's contracts as pydantic models: requests, answers, events in."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from email_service.domain import State
from eventbus.fields import EmailAddress, Line, WholeNumber
from eventbus.web.operations import Envelope


class SendMail(BaseModel):
    """Body of POST /email."""

    model_config = ConfigDict(strict=True)

    emailTo: EmailAddress = Field(examples=["ada@example.com"])  # noqa: N815
    orderID: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,64}$")] = Field(  # noqa: N815
        examples=["8db17392-23b7-483a-bffa-9a17fb7aa153"]
    )
    product: Line = Field(examples=["book"])


class MailModel(BaseModel):
    """A mail as it is shown."""

    id: str
    subject: str
    body: str
    email_from: str
    email_to: str
    dateTime: str  # noqa: N815
    status: State


class MailAnswer(Envelope):
    """One mail."""

    data: MailModel


class MailsAnswer(Envelope):
    """A page of mails, the newest first; the `Link` header leads to the next."""

    data: list[MailModel]


class MailQuery(BaseModel):
    """Filters and cursor of GET /email."""

    limit: int = Field(100, ge=1, le=1_000)
    after: UUID | None = None
    status: State = State.SENT


class OrderEnded(BaseModel):
    """Data of OrderConfirmed, OrderRejected and OrderCancelled, as far as a mail needs it."""

    orderID: UUID  # noqa: N815
    product: Line
    quantity: WholeNumber
    customerEmail: EmailAddress  # noqa: N815
    reason: Line | None = None
