"""What happens when an object goes: its children follow by owner reference, its topics stay."""

from collections.abc import Mapping
from typing import Any

import structlog

log = structlog.get_logger()


def finalize_pipeline(body: Mapping[str, Any]) -> None:
    """Name what is left behind; nothing blocks the deletion."""
    topics = ((body.get("status") or {}).get("topics") or {}).get("items") or ()
    left = [item["topicName"] for item in topics]
    meta = body["metadata"]
    log.info(
        "object deleted, its topics are retained",
        pipeline=f"{meta['namespace']}/{meta['name']}",
        topics=left,
    )
