"""Delivery: every event of an EventPipeline goes to the inbox.

kopf calls no handler before it has indexed every object that there is. Noting is our index: no
pass runs while an older claim on a topic may still be unknown.
"""

from typing import Any

import kopf

from eventpipeline_operator.api import names


@kopf.index(names.GROUP, names.VERSION, names.PLURAL)
async def note_pipeline(body: kopf.Body, memo: kopf.Memo, **_: Any) -> None:
    """Take note of the body; kopf itself has to keep nothing."""
    memo.note(body)


@kopf.on.event(names.GROUP, names.VERSION, names.PLURAL)
async def deliver_pipeline(
    type: str | None,  # noqa: A002 - kopf passes it by this name
    body: kopf.Body,
    memo: kopf.Memo,
    **_: Any,
) -> None:
    """Hand the body on; deciding and retrying is the queue's."""
    memo.deliver(type, body)
