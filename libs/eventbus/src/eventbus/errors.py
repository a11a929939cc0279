"""Failures, by fate. Every error that a loop can meet has exactly one of these.

* `InvalidRecord`: this record can never be handled → dead letter.
* `Unavailable`: something we need is away → back-pressure: keep the batch, pause, try again.
* `PublishFailed`: Kafka did not confirm → the outbox keeps the rows and the relay tries again.
* `Crash`: going on would do harm → the process ends and is started anew.
* Anything else that a handler raises is narrowed down to one record and dead-lettered; too many
  of those in a short time are a defect of ours, hence a `Crash`.
"""


class EventBusError(Exception):
    """Base of all of them."""


class InvalidRecord(EventBusError):
    """The record cannot be understood, now or ever."""


class Unavailable(EventBusError):
    """A backing service does not answer; trying again may help."""


class PublishFailed(EventBusError):
    """At least one record was not confirmed by Kafka."""


class Crash(EventBusError):
    """The process must not continue."""
