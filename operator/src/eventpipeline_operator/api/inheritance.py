"""What a worker has from its service: it runs the same code against the same servers."""

from dataclasses import replace
from typing import TypeVar

from eventpipeline_operator.api.types import Container, Service, Worker

Item = TypeVar("Item")


def effective_container(service: Service, worker: Worker | None) -> Container:
    """A worker's container with its service's config, secrets, calls, egress and placement added.

    The worker's own word counts where both speak; lists are joined.
    """
    above = service.container
    if worker is None:
        return above
    own = worker.container
    return replace(
        own,
        config={**above.config, **own.config},
        secrets=_joined(above.secrets, own.secrets),
        calls=_joined(above.calls, own.calls),
        egress=_joined(above.egress, own.egress),
        placement=replace(
            own.placement,
            image_pull_secrets=_joined(
                above.placement.image_pull_secrets, own.placement.image_pull_secrets
            ),
            node_selector=own.placement.node_selector or above.placement.node_selector,
            tolerations=own.placement.tolerations or above.placement.tolerations,
            affinity=own.placement.affinity or above.placement.affinity,
        ),
    )


def _joined(above: tuple[Item, ...], own: tuple[Item, ...]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys((*above, *own)))
