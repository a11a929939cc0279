"""What this service tells and hears, by topic and type: the source of AsyncAPI and JSON Schema."""

from eventbus.asyncapi import Participant
from order_service import consumer, projection
from order_service.domain import COMMANDS, EVENT_OF, TOPIC
from order_service.messages import OrderModel, StockDemand
from order_service.relay import COMMAND_OF

CONTRACTS = Participant(
    "order",
    publishes={
        TOPIC: dict.fromkeys(EVENT_OF.values(), OrderModel),
        COMMANDS: dict.fromkeys(COMMAND_OF.values(), StockDemand),
    },
    consumes={
        **dict.fromkeys(consumer.TOPICS, consumer.MODELS),
        TOPIC: projection.MODELS,
    },
)
