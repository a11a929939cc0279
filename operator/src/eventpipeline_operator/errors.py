"""The three fates of a failure.

Adapters and steps raise these and nothing else for what they expect to go wrong; the pipeline
(reconcile/pipeline.py) turns each into a condition and into the time of the next try.
"""


class ReconcileError(Exception):
    """A failure with a reason (PascalCase) and a message that says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Stalled(ReconcileError):
    """A person must act; the next try comes with the next change or resync."""


class Retryable(ReconcileError):
    """Expected to pass by itself; tried again with growing pauses."""


class Unanswered(Retryable):
    """Asked for, and nobody said whether it was done."""


class Waiting(ReconcileError):
    """Nothing is wrong yet: an earlier part is not finished."""
