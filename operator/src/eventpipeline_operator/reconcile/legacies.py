"""What an object leaves behind: told in log and metrics, and recorded for who looks later."""

from collections import Counter
from collections.abc import Callable

import structlog

from eventpipeline_operator.api.types import EventPipeline
from eventpipeline_operator.errors import ReconcileError, Retryable
from eventpipeline_operator.policies.deletion import Left, Obstacle
from eventpipeline_operator.reconcile.ports import Legacy, Ports

log = structlog.get_logger()


class Legacies:
    """Tells and records; `now` is the wall clock as text."""

    def __init__(self, ports: Ports, now: Callable[[], str]) -> None:
        self._ports = ports
        self._now = now
        self._unwritten: list[Legacy] = []

    def __len__(self) -> int:
        """How many records are yet to be written."""
        return len(self._unwritten)

    def tell(self, pipeline: EventPipeline, left: tuple[Left, ...]) -> None:
        """Topics that stay; what nobody wanted so is a warning."""
        for obstacle, count in Counter(each.obstacle for each in left).items():
            self._ports.metrics.left_behind(obstacle, count)
        wanted = all(each.obstacle is Obstacle.RETAINED for each in left)
        (log.info if wanted else log.warning)(
            "topics left behind",
            pipeline=str(pipeline.key),
            topics={each.topic: f"{each.obstacle}: {each.message}" for each in left},
        )

    @staticmethod
    def tell_users(pipeline: EventPipeline, users: tuple[str, ...], why: str) -> str:
        """Kafka users that stay; answers the same in a sentence."""
        named = ", ".join(users)
        log.warning("Kafka users left behind", pipeline=str(pipeline.key), users=named, why=why)
        return f"Kafka users are left behind: {named} ({why}): remove them and their ACLs"

    def note(
        self,
        pipeline: EventPipeline,
        servers: str,
        left: tuple[Left, ...],
        users: tuple[str, ...],
    ) -> None:
        """To be written by the next `flush`."""
        self._unwritten.append(
            Legacy(pipeline.key, pipeline.uid, servers, self._now(), left, users)
        )

    async def write(
        self, pipeline: EventPipeline, left: tuple[Left, ...], users: tuple[str, ...]
    ) -> None:
        """At once, while the object still waits; raises only what passes by itself."""
        servers = pipeline.bootstrap_servers
        legacy = Legacy(pipeline.key, pipeline.uid, servers, self._now(), left, users)
        try:
            await self._ports.legacies.record([legacy])
        except Retryable:
            raise
        except ReconcileError as error:  # the log has it: nothing may hold the object for ever
            log.warning("record of what is left not written", message=error.message)

    async def flush(self) -> None:
        """Write down what objects that are gone have left."""
        written = tuple(self._unwritten)
        if written:
            await self._ports.legacies.record(written)
            del self._unwritten[: len(written)]
