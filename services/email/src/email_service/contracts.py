"""What this service hears, by topic and type: a source of AsyncAPI."""

from email_service.consumer import MODELS
from eventbus.asyncapi import Participant

CONTRACTS = Participant("email", consumes={"orders": MODELS})
