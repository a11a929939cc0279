"""What this service tells and hears, by topic and type: the source of AsyncAPI and JSON Schema."""

from eventbus.asyncapi import Participant
from stock_service.consumer import MODELS
from stock_service.domain import EVENTS
from stock_service.messages import StockDecision

CONTRACTS = Participant(
    "stock",
    publishes={
        EVENTS: dict.fromkeys(("StockReserved", "StockRejected", "StockReleased"), StockDecision)
    },
    consumes={"stock-commands": MODELS},
)
