"""Kafkas that have just not answered: of many objects that go at once, one waits for each."""

from collections.abc import Callable

from eventpipeline_operator.errors import Retryable

AWAY_SECONDS = 5.0


class Away:
    """How long all objects take one's word that a Kafka is away."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._away: dict[str, tuple[float, Retryable]] = {}

    def note(self, servers: str, error: Retryable) -> None:
        """It did not answer."""
        self._away.setdefault(servers, (self._clock() + AWAY_SECONDS, error))

    def refuse(self, servers: str) -> None:
        """Raise what another object has just been told."""
        until, error = self._away.get(servers, (float("-inf"), None))
        if error and self._clock() < until:
            raise error
        self._away.pop(servers, None)
