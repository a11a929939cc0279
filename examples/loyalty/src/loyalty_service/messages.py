"""What we read of other teams' events, what we tell, what we answer."""

from uuid import UUID

from pydantic import BaseModel

from eventbus.fields import EmailAddress, WholeNumber
from eventbus.web.operations import Envelope


class OrderConfirmed(BaseModel):
    """Data of OrderConfirmed, as far as points are concerned; further members may come."""

    orderID: UUID  # noqa: N815
    customerEmail: EmailAddress  # noqa: N815
    quantity: WholeNumber


class PointsGranted(BaseModel):
    """Data of PointsGranted, which we publish."""

    orderID: str  # noqa: N815
    customer: str
    points: int


class Balance(BaseModel):
    """What one customer has."""

    customer: str
    points: int
    orders: int


class BalanceAnswer(Envelope):
    """One balance."""

    data: Balance
