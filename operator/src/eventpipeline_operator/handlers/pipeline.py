"""Delivery: every event of an EventPipeline goes to the inbox."""

from typing import Any

import kopf

from eventpipeline_operator.api import names


@kopf.on.event(names.GROUP, names.VERSION, names.PLURAL)
async def deliver_pipeline(
    type: str | None,  # noqa: A002 - kopf passes it by this name
    body: kopf.Body,
    memo: kopf.Memo,
    **_: Any,
) -> None:
    """Hand the body on; deciding and retrying is the queue's."""
    memo.deliver(type, body)
